// The real pages in Chromium: node check.mjs MODULES PICTURES CHROMIUM STEP ADDRESS [ARGUMENT]
// MODULES is the folder with node_modules; PICTURES gets a screenshot of each page that is looked at.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";

const [,, modules, pictures, chromium, step, address, argument] = process.argv;
const require = createRequire(modules + "/");
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const faults = [], fail = text => { faults.push(text); console.log("FAULT", text); };
// NiiVue draws with WebGL 2, here without a graphics card
const graphics = step === "reports" ? ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"] : ["--disable-gpu"];
const browser = await puppeteer.launch({executablePath: chromium, args: ["--no-sandbox", ...graphics]});

async function open(address, width = 1280, scheme = "light") {
  const page = await browser.newPage();
  page.on("pageerror", error => fail("error in the page: " + error.message));
  page.on("console", message => { if (message.type() == "error") fail("console: " + message.text()); });
  await page.setViewport({width, height: 900, isMobile: width < 500});
  await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: scheme}]);
  await page.goto(address, {waitUntil: "networkidle0"});
  return page;
}

// axe and the width, and a picture to look at
async function look(page, name) {
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => axe.run(document, {resultTypes: ["violations"]}));
  for (const found of violations) fail(name + ": axe " + found.id + ": " + found.nodes[0].target.join(" "));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) fail(name + ": " + over + " pixels wider than the window");
  await page.screenshot({path: pictures + "/" + name + ".png", fullPage: true});
}

async function everywhere(address, tools, name) {
  for (const [kind, width] of [["desktop", 1280], ["phone", 390]])
    for (const scheme of ["light", "dark"])
      for (const tool of tools) {
        const page = await open(address + "#" + tool, width, scheme);
        await page.evaluate(() => { for (const more of document.querySelectorAll("details")) more.open = true; });
        await look(page, [name, tool, kind, scheme].filter(part => part).join("-"));
        await page.close();
      }
}

// Press Tab until the focus is on `query`, as who has no mouse does.
async function reach(page, query) {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(query => document.activeElement.matches(query), query)) return;
  }
  fail("the keyboard does not reach " + query);
}

const done = (page, count) => page.waitForFunction(
  count => document.querySelectorAll("li.done").length >= count, {timeout: 300000}, count);

const steps = {
  async sound() {
    await everywhere(address, ["denoise", "say"], "sound");
    const page = await open(address);
    await reach(page, 'nav a[href="#say"]');
    await page.keyboard.press("Enter");
    await reach(page, "section:not([hidden]) textarea");
    await page.keyboard.type("Good morning.");
    await reach(page, "section:not([hidden]) .go");
    await page.keyboard.press("Enter");
    await done(page, 1);
    await page.waitForSelector("#page:not([hidden])");
    const result = await (await page.waitForSelector("#page")).contentFrame();
    await result.waitForSelector("audio");
    await page.evaluate(() => { location.hash = "#denoise"; });
    await (await page.$("[type=file]")).uploadFile(...argument.split(","));
    await page.click("section:not([hidden]) .go");
    await done(page, 1 + argument.split(",").length);
    await look(page, "sound-results");
  },
  async scans() {
    await everywhere(address, ["enhance", "slices", "volumes"], "scans");
    const page = await open(address + "#slices");
    await page.$eval("#slices-number", field => { field.value = 1; });
    await page.$eval("#slices-steps", field => { field.value = 2; });
    await page.click("section:not([hidden]) .go");
    await done(page, 1);
    const result = await (await page.waitForSelector("#page:not([hidden])")).contentFrame();
    await result.waitForSelector("img");
    if (!/not a scan of anyone/.test(await result.evaluate(() => document.body.textContent))) fail("no notice that the scans are synthetic");
    await look(page, "scans-results");
  },
  async reports() {
    const local = page => page.on("request", asked => { if (!/^(file|data|blob):/.test(asked.url())) fail("a report asks for " + asked.url()); });
    const first = async (page, query) => page.$eval(query, link => link.href);
    let report, viewer;
    for (const [kind, width] of [["desktop", 1280], ["phone", 390]]) {
      const index = await open(address, width);
      local(index);
      await index.evaluate(() => { for (const more of document.querySelectorAll("details")) more.open = true; });
      await look(index, "index-" + kind);
      report = await first(index, "td.name a");
      const page = await open(report, width);
      local(page);
      await page.waitForSelector("#browse:not([hidden])");
      await look(page, "report-" + kind);
      viewer = await first(page, 'a[href*="_viewer"]');
      const niivue = await open(viewer, width);
      local(niivue);
      await niivue.waitForSelector("body[data-ready]");
      await look(niivue, "viewer-" + kind);
      for (const one of [index, page, niivue]) await one.close();
    }
    const index = await open(address), sorted = () => index.$eval("th[aria-sort=ascending]", head => head.textContent);
    await reach(index, "thead th:nth-child(3) button");
    await index.keyboard.press("Enter");
    if (await sorted() !== "State") fail("the keyboard does not sort the index");
    await reach(index, "td.name a");
    const page = await open(report), text = (page, id) => page.$eval(id, found => found.textContent);
    await page.waitForSelector("#browse:not([hidden])");
    await reach(page, "#views");
    const slice = await text(page, "#place");
    await page.keyboard.press("ArrowUp");
    if (await text(page, "#place") === slice) fail("the keyboard does not change the slice");
    const niivue = await open(viewer);
    await niivue.waitForSelector("body[data-ready]");
    const frames = await niivue.$$(".frame"), shots = () => Promise.all(frames.map(frame => frame.screenshot()));
    const [before, after] = await shots();
    if (!(before.length > 1.2 * after.length)) fail("the noise of before is not in its picture");
    await reach(niivue, "#views");
    const place = (await text(niivue, "#place")).split(",").map(parseFloat);
    const same = (some, others) => some.map((shot, i) => Buffer.compare(shot, others[i]) === 0);
    await niivue.keyboard.press("ArrowRight");
    const moved = (await text(niivue, "#place")).split(",").map(parseFloat);
    if (Math.abs(moved[0] - place[0] - 1.8) > .11 || moved[1] !== place[1]) fail("ArrowRight moves the cross from " + place + " to " + moved);
    const aside = await shots();
    if (same(aside, [before, after]).includes(true)) fail("the cross does not move in both");
    const {x, y} = await frames[0].boundingBox(), window = () => niivue.$eval("#width", field => +field.value), wide = await window();
    await niivue.mouse.move(x + 100, y + 100);
    await niivue.mouse.down({button: "right"});
    await niivue.mouse.move(x + 60, y + 140, {steps: 4});
    await niivue.mouse.up({button: "right"});
    if (await window() === wide) fail("the right button does not change the window");
    if (same(await shots(), aside).includes(true)) fail("the window does not change in both");
    await frames[0].click();  // now the canvas has the focus
    const clicked = await shots();
    for (const key of ["v", "v", "c"]) await niivue.keyboard.press(key, {delay: 60});
    if (same(await shots(), clicked).includes(false)) fail("a key of NiiVue changes the view");
    await look(niivue, "viewer-moved");
    const lost = await browser.newPage();
    await lost.setRequestInterception(true);
    lost.on("request", asked => /niivue-[^/]*js$/.test(asked.url()) ? asked.abort() : asked.continue());
    await lost.goto(viewer);
    if (!/keep the page in the folder/.test(await text(lost, "#fault"))) fail("a page without its script says nothing");
  },
  async serve() {
    await everywhere(address, [""], "sign-in");
    const page = await browser.newPage();
    await page.goto(address);
    for (const [token, selector] of [["not the token at all", "#fault:not(:empty)"], [argument, "form[data-tool]"]]) {
      await page.type("#token", token);
      await page.keyboard.press("Enter");
      await page.waitForSelector(selector);
    }
    await look(page, "signed-in");
  },
};

try { await steps[step](); }
catch (error) { fail(step + ": " + error.message); }
finally { await browser.close(); }
console.log(step + ": " + (faults.length ? faults.length + " faults" : "no fault"));
process.exit(faults.length ? 1 : 0);
