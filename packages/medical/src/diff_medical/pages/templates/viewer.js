// Two volumes in NiiVue, side by side: one cross, one window, one zoom.
(async () => {
const at = id => document.getElementById(id), view = JSON.parse(at("view").textContent);
const fault = text => { at("fault").textContent = text; at("fault").hidden = false; at("views").hidden = true; };
if (typeof niivue === "undefined") return fault("The script " + view.script + " is not where this page expects it: keep the page in the folder that the report was written to.");
const gl = document.createElement("canvas").getContext("webgl2");
if (!gl) return fault("This browser has no WebGL 2, which NiiVue needs. The report shows the slices without it.");
if (view.largest > gl.getParameter(gl.MAX_3D_TEXTURE_SIZE)) return fault("This scan has " + view.largest + " voxels along one axis; the graphics of this machine take " + gl.getParameter(gl.MAX_3D_TEXTURE_SIZE) + ".");
gl.getExtension("WEBGL_lose_context")?.loseContext();
const [low, high] = view.levels, shown = [];
for (const [number, canvas] of [...document.querySelectorAll("#views canvas")].entries()) {
  const nv = new niivue.Niivue({
    sliceType: niivue.SLICE_TYPE.MULTIPLANAR, multiplanarShowRender: niivue.SHOW_RENDER.NEVER, show3Dcrosshair: false,
    isNearestInterpolation: true, backColor: [0, 0, 0, 1], crosshairColor: [.36, .77, .55, .9], crosshairWidth: 1,
    crosshairWidthUnit: "mm", dragMode: 9 /* the window */, dragAndDropEnabled: false, loadingText: "", logLevel: "error",
    viewModeHotKey: "none", clipPlaneHotKey: "none", cycleClipPlaneHotKey: "none",
  });
  await nv.attachToCanvas(canvas);
  canvas.tabIndex = -1;  // the group around them takes the keys
  const text = at("volume" + number);
  nv.addVolume(await niivue.NVImage.loadFromBase64({base64: text.textContent, name: "scan.nii.gz", cal_min: low, cal_max: high}));
  text.remove();
  shown.push({nv, name: view.names[number], canvas});
}
const round = value => +value.toPrecision(4), other = one => shown.filter(two => two !== one);
let follows = false;
function tell() {
  const {mm} = shown[0];
  if (!mm) return;
  const values = shown.map(one => one.name.toLowerCase() + " " + round(one.value)).join(", ");
  at("place").textContent = [...mm].slice(0, 3).map(x => (Math.round(10 * x) / 10 || 0).toFixed(1)).join(", ") + " mm: " + values + " " + view.unit;
}
// the others go where one went
function follow(one) {
  if (follows) return;
  follows = true;
  for (const two of other(one)) {
    two.nv.scene.crosshairPos = [...one.nv.scene.crosshairPos];
    two.nv.scene.pan2Dxyzmm = [...one.nv.scene.pan2Dxyzmm];
    two.nv.drawScene();
    two.nv.createOnLocationChange();
  }
  follows = false;
  tell();
}
let ends = [low, high];
function window_(from, to) {
  if (!(to > from)) return;
  ends = [from, to];
  for (const {nv} of shown) { nv.volumes[0].cal_min = from; nv.volumes[0].cal_max = to; nv.updateGLVolume(); }
}
function fields() { at("level").value = round((ends[0] + ends[1]) / 2); at("width").value = round(ends[1] - ends[0]); }
// NiiVue reports no change of the window by dragging
function adopt(nv) {
  const {cal_min, cal_max} = nv.volumes[0];
  if (cal_min === ends[0] && cal_max === ends[1]) return;
  window_(cal_min, cal_max); fields(); at("preset").value = "own";
}
for (const one of shown) {
  one.nv.onLocationChange = place => { one.mm = place.mm; one.value = place.values[0]?.value ?? 0; follow(one); };
  for (const kind of ["mousemove", "mouseup", "touchmove", "touchend", "dblclick"]) one.canvas.addEventListener(kind, () => adopt(one.nv));
}
at("preset").add(new Option("As in the report", "")); at("preset").add(new Option("Full range", "full"));
for (const name of Object.keys(view.presets)) at("preset").add(new Option(name));
at("preset").add(new Option("By hand", "own"));
function choose(name) {
  const [level, width] = view.presets[name] ?? [], all = shown.map(one => one.nv.volumes[0]);
  if (level !== undefined) window_(level - width / 2, level + width / 2);
  else if (name === "full") window_(Math.min(...all.map(one => one.global_min)), Math.max(...all.map(one => one.global_max)));
  else window_(low, high);
  fields(); at("preset").value = name;
}
at("preset").onchange = () => at("preset").value === "own" || choose(at("preset").value);
for (const id of ["level", "width"]) at(id).oninput = () => {
  const level = +at("level").value, half = +at("width").value / 2;
  at("preset").value = "own"; window_(level - half, level + half);
};
at("plane").onchange = () => { for (const {nv} of shown) nv.setSliceType(+at("plane").value); };
at("smooth").onchange = () => { for (const {nv} of shown) nv.setInterpolation(!at("smooth").checked); };
at("right").onchange = () => { for (const {nv} of shown) nv.setRadiologicalConvention(at("right").checked); };
at("reset").onclick = () => {
  Object.assign(shown[0].nv.scene, {crosshairPos: [.5, .5, .5], pan2Dxyzmm: [0, 0, 0, 1]});
  snap(); choose("");
};
// all keys of NiiVue are replaced: one of its own shows a surface, and with it a face
const steps = {ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1]};
for (const kind of ["keydown", "keyup"]) at("views").addEventListener(kind, event => {
  if (event.target !== at("views")) event.stopImmediatePropagation();
  if (!steps[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (kind === "keydown") { shown[0].nv.moveCrosshairInVox(...steps[event.key]); }
}, {capture: true});
const snap = () => shown[0].nv.moveCrosshairInVox(0, 0, 0);  // to the middle of a voxel
fields(); snap();
document.body.dataset.ready = "yes";
})();
