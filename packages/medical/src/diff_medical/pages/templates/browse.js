// Slices of the volumes in #voxels: see pages/browse.py for their form.
(async () => {
const section = document.getElementById("browse"), at = id => document.getElementById(id);
if (!section || !("DecompressionStream" in window)) return;
const given = JSON.parse(at("voxels").textContent), [nx, ny, nz] = given.shape, count = nx * ny * nz;
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
async function unpack(volume) {
  const stream = new Blob([bytes(volume.data)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const halves = new Uint8Array(await new Response(stream).arrayBuffer()), values = new Float32Array(count);
  for (let i = 0, whole = 0; i < count; i++) {
    const step = halves[i] + 256 * halves[count + i];
    whole = i % nx ? (whole + step) & 65535 : step;
    values[i] = volume.low + whole * volume.step;
  }
  return values;
}
const shown = [];
for (const volume of given.volumes) shown.push({name: volume.name, shade: volume.shade, values: await unpack(volume)});
if (given.removed) {
  const [before, after] = shown, values = before.values.map((value, i) => value - after.values[i]);
  shown.splice(2, 0, {name: "Removed", shade: "removed", values});
}
const tables = {removed: bytes(given.colours.removed), doubt: bytes(given.colours.doubt)};
// plane: across, up, through, as axes of the voxels; rows go from the top, which is far along `up`
const planes = {Axial: [0, 1, 2], Coronal: [0, 2, 1], Sagittal: [1, 2, 0]}, strides = [1, nx, nx * ny];
for (const [name, [across, up]] of Object.entries(planes))
  if (Math.min(given.shape[across], given.shape[up]) > 1) at("plane").add(new Option(name));
const [low, high] = given.levels;
at("preset").add(new Option("As above", "")); at("preset").add(new Option("Full range", "full"));
for (const name of Object.keys(given.presets)) at("preset").add(new Option(name));
at("preset").add(new Option("By hand", "own"));
for (const view of shown) {
  const figure = document.createElement("figure"), frame = document.createElement("div");
  view.canvas = document.createElement("canvas");
  view.canvas.setAttribute("role", "img");
  frame.className = "frame"; frame.append(view.canvas);
  const caption = document.createElement("figcaption"); caption.textContent = view.name;
  figure.append(frame, caption); at("views").append(figure); view.figure = figure;
}
let limit = given.removed;
function draw() {
  const [across, up, through] = planes[at("plane").value], place = +at("slice").value;
  const wide = given.shape[across], tall = given.shape[up], level = +at("level").value, width = +at("width").value || 1e-12;
  const ratio = wide * given.size[across] / (tall * given.size[up]);
  at("views").style.setProperty("--sum", shown.length * ratio);
  for (const view of shown) {
    view.figure.style.setProperty("--r", ratio);
    const canvas = view.canvas, picture = new ImageData(wide, tall), pixels = picture.data;
    const [from, span] = view.shade === "removed" ? [-limit, 2 * limit] : view.shade === "doubt" ? [0, given.doubt] : [level - width / 2, width];
    const table = tables[view.shade];
    for (let row = 0, out = 0; row < tall; row++) {
      let index = place * strides[through] + (tall - 1 - row) * strides[up];
      for (let column = 0; column < wide; column++, index += strides[across], out += 4) {
        const grey = Math.max(0, Math.min(255, Math.round(255 * (view.values[index] - from) / span)));
        for (let k = 0; k < 3; k++) pixels[out + k] = table ? table[3 * grey + k] : grey;
        pixels[out + 3] = 255;
      }
    }
    canvas.width = wide; canvas.height = tall;
    canvas.getContext("2d").putImageData(picture, 0, 0);
    canvas.setAttribute("aria-label", view.name + ", " + at("plane").value + " slice " + (place + 1));
  }
  at("place").textContent = place + 1 + " / " + given.shape[through];
}
function turn() {
  const depth = given.shape[planes[at("plane").value][2]];
  at("slice").max = depth - 1; at("slice").value = depth >> 1; draw();
}
function move(steps) {
  const before = at("slice").value;
  at("slice").value = +before + steps;
  if (at("slice").value === before) return false;
  draw(); return true;
}
const round = value => +value.toPrecision(4);
function choose(name) {
  const ends = name === "full" ? [Math.min(...given.volumes.map(v => v.low)), shown[0].values.reduce((a, b) => Math.max(a, b))] : [low, high];
  const [level, width] = given.presets[name] ?? [(ends[0] + ends[1]) / 2, ends[1] - ends[0]];
  at("level").value = round(level); at("width").value = round(width); at("preset").value = name; draw();
}
function set(removed) { limit = Math.max(removed, given.removed / 1000); at("limit").value = round(limit); draw(); }
at("plane").onchange = turn; at("slice").oninput = draw;
at("preset").onchange = () => at("preset").value === "own" || choose(at("preset").value);
for (const id of ["level", "width"]) at(id).oninput = () => { at("preset").value = "own"; draw(); };
if (at("limit")) at("limit").oninput = () => { limit = +at("limit").value || limit; draw(); };
// at the first and the last slice the wheel scrolls the page again
at("views").addEventListener("wheel", event => { if (!event.ctrlKey && move(-Math.sign(event.deltaY))) event.preventDefault(); }, {passive: false});
at("views").onkeydown = event => {
  const steps = {ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6}[event.key];
  if (steps) { event.preventDefault(); move(steps); }
};
for (const view of shown) {
  let last = null;
  view.canvas.onpointerdown = event => { last = [event.clientX, event.clientY]; view.canvas.setPointerCapture(event.pointerId); };
  view.canvas.onpointerup = view.canvas.onpointercancel = () => { last = null; };
  view.canvas.onpointermove = event => {
    if (!last) return;
    const across = event.clientX - last[0], up = last[1] - event.clientY;
    last = [event.clientX, event.clientY];
    if (view.shade === "removed") return set(limit * 1.01 ** across);
    if (view.shade === "doubt") return;
    at("width").value = round(Math.max(+at("width").value * 1.01 ** across, (high - low) / 1000));
    at("level").value = round(+at("level").value - up * (high - low) / 300);
    at("preset").value = "own"; draw();
  };
  view.canvas.ondblclick = () => { choose(""); if (at("limit")) set(given.removed); };
}
if (at("limit")) at("limit").value = round(limit);
at("level").value = round((low + high) / 2); at("width").value = round(high - low);
section.hidden = false; turn();
})();
