// What pages/templates/viewer.js uses of NiiVue.
export { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER } from "@niivue/niivue";
