// The study's frames: scrolled with the wheel, windowed by dragging, zoomed and moved. Pixels come as values; the window
// is set here, so that it follows the hand.
const EMPTY = -32768;
const AHEAD = 6; // frames that are fetched before they are asked for
const caseId = document.querySelector("[data-case]").dataset.case;
const viewer = document.getElementById("viewer");
const canvas = viewer.querySelector("canvas");
const told = viewer.querySelector("output");
const choice = viewer.querySelector("select");
const presets = viewer.querySelector(".presets");
const off = document.createElement("canvas");
const frames = new Map(); // address → promise of a frame
let stack, series = 0, at = 0, shown = null, window_ = null, zoom = 1, moved = [0, 0];

const address = (index) => { const [uid, frame] = stack.series[series].frames[index]; return `/cases/${caseId}/frames/${uid}/${frame}`; };

function fetched(index) {
  const from = address(index);
  if (!frames.has(from)) {
    frames.set(from, fetch(from).then(async (answer) => {
      if (!answer.ok) throw new Error((await answer.json()).detail);
      const about = JSON.parse(answer.headers.get("X-Frame"));
      const bytes = await answer.arrayBuffer();
      return { ...about, pixels: about.colour ? new Uint8Array(bytes) : new Int16Array(bytes) };
    }));
    frames.get(from).catch(() => frames.delete(from)); // it is asked for again another time
    if (frames.size > 600) frames.delete(frames.keys().next().value);
  }
  return frames.get(from);
}

async function go(index) {
  if (!stack) return;
  const count = stack.series[series].frames.length;
  at = Math.min(Math.max(index, 0), count - 1);
  const wanted = address(at);
  try {
    const frame = await fetched(at);
    if (wanted !== address(at)) return; // scrolled on in the meantime
    shown = frame;
    window_ ??= frame.window;
    presets.hidden = !frame.hounsfield;
    draw();
  } catch (error) {
    if (wanted !== address(at)) return;
    shown = null;
    told.textContent = `image ${at + 1} of ${count}: ${error.message}`;
  }
  const near = [];
  for (let step = 1; step <= AHEAD; step++) near.push(at + step, at - step);
  for (const next of near) { // one after another, so that a jump does not wait behind them
    if (wanted !== address(at)) return;
    if (next >= 0 && next < count) await fetched(next).catch(() => {});
  }
}

// How much of the light a value gets, 0 to 1 (PS3.3 C.11.2.1.2.1, C.11.2.1.3).
const CURVES = {
  LINEAR: (value, center, width) => (value - center + width / 2) / Math.max(width - 1, 1e-6),
  LINEAR_EXACT: (value, center, width) => (value - center + width / 2) / width,
  SIGMOID: (value, center, width) => 1 / (1 + Math.exp((-4 * (value - center)) / width)),
};

// A table from value to grey, then a lookup for each pixel.
function draw() {
  if (!shown) return;
  const { rows, columns, pixels, colour, slope, intercept, inverted, curve } = shown;
  off.width = columns;
  off.height = rows;
  const image = off.getContext("2d").createImageData(columns, rows);
  const out = new Uint32Array(image.data.buffer);
  if (colour) {
    for (let i = 0, j = 0; i < out.length; i++, j += 3) out[i] = 0xff000000 | (pixels[j + 2] << 16) | (pixels[j + 1] << 8) | pixels[j];
  } else {
    const [center, width] = window_, light = CURVES[curve];
    const greys = new Uint32Array(65536);
    for (let stored = -32767; stored <= 32767; stored++) {
      const share = Math.min(Math.max(light(stored * slope + intercept, center, width), 0), 1);
      const grey = Math.round((inverted ? 1 - share : share) * 255);
      greys[stored + 32768] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    greys[EMPTY + 32768] = 0xff000000;
    for (let i = 0; i < out.length; i++) out[i] = greys[pixels[i] + 32768];
  }
  off.getContext("2d").putImageData(image, 0, 0);
  place();
}

function place() {
  canvas.width = canvas.clientWidth;
  canvas.height = canvas.clientHeight;
  const context = canvas.getContext("2d");
  const fit = Math.min(canvas.width / off.width, canvas.height / off.height) * zoom;
  context.imageSmoothingEnabled = fit < 3;
  context.setTransform(fit, 0, 0, fit, canvas.width / 2 + moved[0] - (off.width * fit) / 2, canvas.height / 2 + moved[1] - (off.height * fit) / 2);
  context.drawImage(off, 0, 0);
  const count = stack.series[series].frames.length;
  const window_text = shown.colour ? "" : ` · window ${Math.round(window_[0])} / ${Math.round(window_[1])}`;
  told.textContent = `image ${at + 1} of ${count}${window_text} · ${Math.round(zoom * 100)}%`;
  canvas.dataset.at = at + 1;
}

function open(index, frame = 0) {
  series = index;
  choice.value = index;
  [window_, zoom, moved] = [null, 1, [0, 0]];
  return go(frame);
}

export function show(uid, frame) {
  const index = stack.series.findIndex((one) => one.frames.some(([u]) => u === uid));
  if (index >= 0) open(index, stack.series[index].frames.findIndex(([u, f]) => u === uid && f === frame));
}

function set(center, width) { window_ = [center, Math.max(width, 1e-3)]; draw(); }
function magnify(by) { zoom = Math.min(Math.max(zoom * by, 0.2), 20); place(); }
function reset() { [window_, zoom, moved] = [shown?.window ?? null, 1, [0, 0]]; draw(); }

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.ctrlKey) magnify(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  else go(at + Math.sign(event.deltaY));
}, { passive: false });

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  const pan = event.shiftKey || event.button === 1;
  const start = { x: event.clientX, y: event.clientY, window: window_, moved };
  const move = (now) => {
    const [x, y] = [now.clientX - start.x, now.clientY - start.y];
    if (pan) { moved = [start.moved[0] + x, start.moved[1] + y]; place(); }
    else if (start.window) set(start.window[0] + (y * start.window[1]) / 300, start.window[1] * Math.exp(x / 200));
  };
  canvas.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => canvas.removeEventListener("pointermove", move), { once: true });
});
canvas.addEventListener("dblclick", reset);

const keys = {
  ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), PageDown: () => go(at + 10), PageUp: () => go(at - 10),
  Home: () => go(0), End: () => go(Infinity), "+": () => magnify(1.25), "-": () => magnify(0.8), 0: reset,
};
canvas.addEventListener("keydown", (event) => {
  if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
});
choice.addEventListener("change", () => open(Number(choice.value)));
new ResizeObserver(() => shown && place()).observe(canvas);

stack = await fetch(`/cases/${caseId}/stack`).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
if (!stack) {
  viewer.hidden = false;
  told.textContent = "The images could not be fetched; load the page again.";
} else if (stack.series.length) {
  stack.series.forEach((one, index) => choice.add(new Option(`${one.name} (${one.frames.length})`, index)));
  for (const [name, [center, width]] of Object.entries(stack.presets)) {
    const button = Object.assign(document.createElement("button"), { textContent: name, type: "button" });
    button.addEventListener("click", () => set(center, width));
    presets.append(button);
  }
  viewer.hidden = false;
  const first = document.querySelector("figure[data-uid]");
  if (first) show(first.dataset.uid, Number(first.dataset.frame)); else open(0);
  for (const figure of document.querySelectorAll("figure[data-uid]"))
    figure.querySelector("button").addEventListener("click", () => show(figure.dataset.uid, Number(figure.dataset.frame)));
}
