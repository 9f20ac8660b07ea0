"use strict";
const find = name => document.getElementById(name), facts = JSON.parse(find("facts").textContent);
const rows = new Map(), frame = find("page"), forms = [...document.forms];
let wanted = null;

function make(kind, text, more) {
  return Object.assign(document.createElement(kind), {textContent: text || ""}, more);
}
function clock(seconds) { return seconds < 90 ? Math.round(seconds) + " s" : Math.round(seconds / 60) + " min"; }
function bytes(count) { return count < 1e6 ? Math.ceil(count / 1e3) + " kB" : (count / 1e6).toFixed(1) + " MB"; }
function say(text) { find("alert").textContent = text; }

// One tool is shown at a time; the address says which, so that "back" and bookmarks work.
function turn() {
  const shown = forms.find(form => "#" + form.dataset.tool == location.hash) || forms[0];
  for (const form of forms) form.closest("section").hidden = form != shown;
  for (const link of document.querySelectorAll("nav a"))
    link.hash == "#" + shown.dataset.tool ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  say("");
  return shown;
}

function fault(file, tool) {
  const ends = suffix => file.name.toLowerCase().endsWith(suffix);
  if (!tool.suffixes.some(ends)) {
    const suffix = Object.keys(tool.unread).find(ends);
    if (suffix) return file.name + ": " + suffix + " files are " + tool.unread[suffix];
    return file.name + ": this is not " + tool.drop + "; files end with " + tool.suffixes.join(", ");
  }
  return file.size > facts.most ? file.name + ": " + facts.too_large : "";
}

// The files, or the text, that a form sends.
class Desk {
  constructor(form) {
    Object.assign(this, {form, name: form.dataset.tool, files: [], refused: ""});
    this.tool = facts.tools[this.name];
    form.onsubmit = event => { event.preventDefault(); this.send(); };
    const one = query => form.querySelector(query);
    this.go = one(".go");
    if (this.tool.takes == "file") one("[type=file]").onchange = event => this.choose(event.target.files);
    if (this.tool.takes == "text") one(".typed").oninput = event => { this.go.disabled = !event.target.value.trim(); };
    if (one(".share")) one(".share").oninput = event => { one("output").textContent = event.target.value + " %"; };
  }

  note(text) { const line = this.form.querySelector(".size"); if (line) line.textContent = text; }

  choose(given) {
    const all = [...given], faults = all.map(file => fault(file, this.tool)), good = all.filter((_, i) => !faults[i]);
    if (!all.length) return;
    say(this.refused = faults.filter(text => text).join("\n"));
    if (!good.length) return;
    this.files = good;
    this.form.querySelector(".chosen").textContent = good.length == 1 ? good[0].name : good.length + " files";
    this.note(bytes(good.reduce((sum, file) => sum + file.size, 0)) + "; drop others to change this");
    this.form.querySelector(".kinds").hidden = true;
    this.form.querySelector(".drop").classList.add("full");
    this.go.disabled = false;
  }

  sent() {
    if (this.tool.takes == "file") return this.files.map(file => [file.name, file]);
    const typed = this.form.querySelector(".typed");
    return [["", typed ? new Blob([typed.value]) : ""]];
  }

  async send() {
    const form = new FormData(this.form), sent = this.sent(), faults = this.refused ? [this.refused] : [];
    const share = this.form.querySelector(".share");
    if (share) form.set("amount", share.value / 100);
    form.set("tool", this.name);
    this.go.disabled = true;
    say(this.refused);
    wanted = null;
    for (const [place, [name, body]] of sent.entries()) {
      if (sent.length > 1) this.note("sending " + (place + 1) + " of " + sent.length);
      form.set("name", name);
      try {
        const task = await upload(body, new URLSearchParams(form));
        wanted ??= task.number;
        draw(task);
        watch(task.number);
      } catch (fault) {
        faults.push((name ? name + ": " : "") + fault.message);
        say(faults.join("\n"));
      }
    }
    if (sent.length > 1) this.note("sent; drop others to change this");
    this.go.disabled = false;
  }
}

async function ask(path, options) {
  let answer;
  try { answer = await fetch(path, options); }
  catch { throw new Error("the page is no longer served; start it again in the terminal"); }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.fault || "refused (" + answer.status + ")"), {status: answer.status});
  return told;
}

const pause = seconds => new Promise(done => setTimeout(done, 1000 * seconds));

async function upload(body, query) {
  for (;;) {
    const tasks = await ask("tasks"), waiting = tasks.filter(task => ["waiting", "working"].includes(task.state));
    for (const [number, row] of rows) if (!tasks.some(task => task.number == number)) forget(row);
    if (waiting.length < facts.waiting) {
      try { return await ask("tasks?" + query, {method: "POST", body}); }
      catch (fault) { if (fault.status != 429) throw fault; }
    }
    await pause(1);
  }
}

async function watch(number) {
  try {
    const task = await ask("tasks/" + number);
    draw(task);
    if (task.state == "waiting" || task.state == "working") setTimeout(watch, 300, number);
    else if (task.state == "done" && wanted == number) show(number);
  } catch (fault) { say(fault.message); }
}

function status(task) {
  const parts = [task.quality, ...(task.amount < 1 ? [Math.round(100 * task.amount) + " %"] : []), ...task.options];
  const how = parts.filter(part => part).join(", "), so = text => how ? how + " · " + text : text;
  if (task.state == "waiting") return so("waiting" + (task.ahead ? ", " + task.ahead + " before it" : ""));
  if (task.state == "working" && task.share >= 1) return so("drawing the page");
  if (task.state == "working") return so(Math.round(100 * task.share) + " %" + (task.left === null ? "" : ", about " + clock(task.left) + " left"));
  if (task.state == "done") return so("done in " + clock(task.took));
  return task.state == "failed" ? task.fault : so("stopped");
}

function draw(task) {
  let row = rows.get(task.number);
  if (!row) {
    const text = make("div"), line = make("span"), item = make("li");
    text.append(make("b", task.name), line);
    const acts = make("div", "", {className: "acts"});
    item.append(text, acts);
    find("list").prepend(item);
    row = {item, text, acts, line, state: ""};
    rows.set(task.number, row);
  }
  row.line.textContent = status(task);
  if (task.state != row.state) {
    row.state = task.state;
    row.item.className = task.state;
    row.acts.replaceChildren();
    row.bar?.remove();
    row.bar = null;
    if (task.state == "waiting" || task.state == "working") {
      row.bar = make("progress", "", {max: 1, ariaLabel: "Progress of " + task.name});
      row.text.append(row.bar);
      const stop = make("button", "Stop", {type: "button"});
      stop.onclick = () => { stop.disabled = true; ask("tasks/" + task.number, {method: "DELETE"}).catch(fault => say(fault.message)); };
      row.acts.append(stop);
    }
    if (task.state == "done") {
      const base = "tasks/" + task.number + "/", look = make("button", "Show", {type: "button"});
      look.onclick = () => { show(task.number); frame.scrollIntoView({behavior: "smooth"}); };
      row.acts.append(
        make("a", "Download result", {className: "button main", href: base + "result", download: task.result}),
        ...Object.entries(task.further).map(([what, name]) => make("a", "Download " + what, {className: "button", href: base + what, download: name})),
        make("a", "Download page", {className: "button", href: base + "report", download: ""}), look);
    }
  }
  if (row.bar) row.state == "working" ? row.bar.value = task.share : row.bar.removeAttribute("value");
}

function forget(row) {
  row.line.textContent = "no longer kept; send it again";
  row.item.className = "";
  row.acts.replaceChildren();
}

function show(number) {
  for (const [other, row] of rows) row.item.classList.toggle("shown", other == number);
  frame.hidden = false;
  frame.src = "tasks/" + number + "/page";
}

frame.onload = () => {
  const inside = frame.contentDocument;
  if (!inside || !inside.body) return;
  const fit = () => { frame.style.height = inside.body.offsetHeight + 1 + "px"; };
  new frame.contentWindow.ResizeObserver(fit).observe(inside.body);
  fit();
};

async function begin() {
  const tasks = await ask("tasks"), done = tasks.filter(task => task.state == "done").pop();
  for (const task of tasks) draw(task);
  for (const task of tasks) if (["waiting", "working"].includes(task.state)) watch(task.number);
  if (done) show(done.number);
}

const desks = new Map(forms.map(form => [form, new Desk(form)]));
onhashchange = turn;
turn();
begin().catch(fault => say(fault.message));
for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, event => {
  const form = forms.find(form => !form.closest("section").hidden), zone = form.querySelector(".drop");
  event.preventDefault();
  if (!zone) return;
  zone.classList.toggle("over", kind == "dragover");
  if (kind == "drop") desks.get(form).choose(event.dataTransfer.files);
});
