// The slider of "How diffusion works": plays what docs/how/figures.py has exported to
// score_data.js. No libraries; works from a folder.
(function () {
  "use strict";
  const box = document.getElementById("score-player");
  const canvas = box.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const slider = box.querySelector("input[type=range]");
  const button = box.querySelector("button");
  const words = box.querySelector("output");
  const layers = Object.fromEntries(
    [...box.querySelectorAll("input[type=checkbox]")].map((input) => [input.name, input])
  );
  const last = SCORE.t.length - 1;
  const pictures = SCORE.density.map(picture);
  let position = 0; // in frames, between two of them while it plays
  let playing = 0; // the id of the next animation frame, 0 when at rest
  let before = 0;

  // One frame's density as a small picture, which the canvas makes large and smooth.
  function picture(text) {
    const small = document.createElement("canvas");
    small.width = small.height = SCORE.pixels;
    const image = new ImageData(SCORE.pixels, SCORE.pixels);
    const bytes = atob(text);
    for (let i = 0; i < bytes.length; i++) {
      const v = bytes.charCodeAt(i) / 255;
      image.data.set([20 + 70 * v, 24 + 110 * v, 31 + 150 * v, 255], 4 * i);
    }
    small.getContext("2d").putImageData(image, 0, 0);
    return small;
  }

  const side = () => canvas.width;
  const across = (v) => ((v / 1000 / SCORE.reach + 1) / 2) * side();
  const down = (v) => ((1 - v / 1000 / SCORE.reach) / 2) * side();

  function mix(frames, i) {
    const k = Math.min(Math.floor(position), last);
    const share = position - k;
    return k === last ? frames[k][i] : frames[k][i] * (1 - share) + frames[k + 1][i] * share;
  }

  function paths(frames, colour, trail) {
    const scale = side() / 560;
    const first = Math.max(0, Math.floor(position) - trail);
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1.2 * scale;
    for (let i = 0; i < frames[0].length; i += 2) {
      const x = across(mix(frames, i));
      const y = down(mix(frames, i + 1));
      pen.globalAlpha = 0.5;
      pen.beginPath();
      pen.moveTo(across(frames[first][i]), down(frames[first][i + 1]));
      for (let k = first + 1; k <= position; k++) {
        pen.lineTo(across(frames[k][i]), down(frames[k][i + 1]));
      }
      pen.lineTo(x, y);
      pen.stroke();
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.arc(x, y, 3.6 * scale, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  function arrows() {
    const scale = side() / 560;
    const field = SCORE.arrows[Math.round(position)];
    pen.strokeStyle = "#e3e7ec";
    pen.globalAlpha = 0.75;
    pen.lineWidth = 1.1 * scale;
    for (let i = 0; i < field.length; i += 2) {
      const x = across(SCORE.points[i]);
      const y = down(SCORE.points[i + 1]);
      const dx = across(SCORE.points[i] + field[i]) - x;
      const dy = down(SCORE.points[i + 1] + field[i + 1]) - y;
      const turn = Math.atan2(dy, dx);
      const head = Math.min(5 * scale, Math.hypot(dx, dy));
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + dx, y + dy);
      for (const wing of [2.6, -2.6]) {
        pen.moveTo(x + dx, y + dy);
        pen.lineTo(x + dx + head * Math.cos(turn + wing), y + dy + head * Math.sin(turn + wing));
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  function draw() {
    const wanted = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (wanted && canvas.width !== wanted) canvas.width = canvas.height = wanted;
    const k = Math.round(position);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(pictures[k], 0, 0, side(), side());
    if (layers.score.checked) arrows();
    if (layers.sde.checked) paths(SCORE.sde, "#6fd6cd", 5); // its whole way would hide all else
    if (layers.ode.checked) paths(SCORE.ode, "#ffb454", last);
    slider.value = position;
    const ratio = k === 0 ? "−∞" : String(Math.round(SCORE.db[k - 1]) + 0).replace("-", "−");
    const [t, alpha, sigma] = ["t", "alpha", "sigma"].map((n) => (SCORE[n][k] / 1000).toFixed(2));
    words.textContent = `t ${t}   α ${alpha}   σ ${sigma}   SNR ${ratio} dB`;
    slider.setAttribute("aria-valuetext", words.textContent);
  }

  function tick(now) {
    position = Math.min(last, position + Math.min(now - before, 100) / 150);
    before = now;
    draw();
    if (position < last) playing = requestAnimationFrame(tick);
    else stop();
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    button.textContent = "Play";
  }

  button.addEventListener("click", () => {
    if (playing) return stop();
    if (position >= last) position = 0;
    button.textContent = "Pause";
    before = performance.now();
    playing = requestAnimationFrame(tick);
  });
  slider.addEventListener("input", () => {
    stop();
    position = Number(slider.value);
    draw();
  });
  for (const input of Object.values(layers)) input.addEventListener("change", draw);
  window.addEventListener("resize", draw);
  slider.max = last;
  position = Math.round(last * 0.6); // something to see before anything is touched
  box.hidden = false;
  draw();
})();
