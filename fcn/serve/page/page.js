"use strict";

const $ = (id) => document.getElementById(id);
/** What the server takes: { title, bytes, pixels }. */
let about = null;
/** What is shown: { name, labelings, shown, hidden }; hidden: a set of class numbers for each labeling. */
let result = null;
/** Ends the request of an image that is not wanted any more. */
let running = null;

// -- an image comes in --------------------------------------------------------------------------------

async function take(file) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  say("", "");
  document.body.classList.add("busy");
  try {
    const bitmap = await decoded(file);
    const scale = Math.min(1, Math.sqrt(about.pixels / (bitmap.width * bitmap.height)));
    const fits = scale === 1 && file.size <= about.bytes;
    let blob = fits ? file : await drawn(bitmap, scale, "image/jpeg");
    let note = scale < 1 ? `, made smaller from ${bitmap.width} × ${bitmap.height}` : "";
    let answer;
    try {
      answer = await ask(blob, signal);
    } catch (error) {
      if (error.status !== 422 || !fits) throw error;
      blob = await drawn(bitmap, 1, "image/png");  // a kind of image that the server does not take
      answer = await ask(blob, signal);
      note = ", drawn anew by the browser";
    }
    await show(file.name || "image", blob, answer);
    say(`${answer.width} × ${answer.height} pixels${note}`, "");
  } catch (error) {
    if (signal.aborted) return;
    say("", error instanceof TypeError ? "The server does not answer." : error.message);
  }
  if (!signal.aborted) document.body.classList.remove("busy");
}

/** The pixels of a file, upright. */
async function decoded(file) {
  if (!file.type.startsWith("image/")) throw new Error(`${file.name}: expected an image.`);
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "The image"}: this browser cannot decode it.`);
  }
}

/** A file of an image in another size, on white where it is transparent. */
function drawn(bitmap, scale, type) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, type, 0.95));
}

/** The server's answer; waits for its turn where there are many. */
async function ask(blob, signal) {
  for (;;) {
    say("Looking …", "");
    const answer = await fetch("segment", {
      method: "POST", body: blob, headers: { "Content-Type": blob.type }, signal,
    });
    const text = await answer.json().catch(() => ({ error: `The server said ${answer.status}.` }));
    if (answer.ok) return text;
    if (answer.status !== 503) throw Object.assign(new Error(text.error), { status: answer.status });
    say("Many images are waiting; this one too …", "");
    const seconds = Number(answer.headers.get("Retry-After")) || 3;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    signal.throwIfAborted();
  }
}

// -- an answer is shown -------------------------------------------------------------------------------

async function show(name, blob, answer) {
  const labelings = await Promise.all(answer.labelings.map(async (one) => {
    const labels = await inflated(one.labels);
    const counts = new Array(one.classes.length).fill(0);
    for (const label of labels) counts[label] += 1;
    return { ...one, labels, counts };
  }));
  const hidden = labelings.map(({ clear }) => new Set(clear === null ? [] : [clear]));
  result = { name, width: answer.width, height: answer.height, labelings, shown: 0, hidden };
  const photo = $("photo");
  URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(blob);
  await photo.decode();
  $("labeling").replaceChildren(...labelings.map((one, n) => new Option(one.name || "classes", n)));
  $("labelings").hidden = labelings.length < 2;
  $("stage").hidden = $("side").hidden = false;
  refresh();
}

/** The bytes of a text in base64, inflated. */
async function inflated(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const current = () => result.labelings[result.shown];
const hidden = () => result.hidden[result.shown];
const stem = () => result.name.replace(/\.[^.]*$/, "") + (current().name ? `_${current().name}` : "");

/** The list of classes, the download and the overlay of the labeling that is shown. */
function refresh() {
  const { classes, counts, colours, png } = current();
  const order = [...classes.keys()].filter((k) => counts[k]).sort((a, b) => counts[b] - counts[a]);
  const total = result.width * result.height;
  $("classes").replaceChildren(...order.map((k) => row(k, classes[k], colours[k], counts[k] / total)));
  $("label-map").href = `data:image/png;base64,${png}`;
  $("label-map").download = `${stem()}.png`;
  $("under").value = "–";
  draw();
}

function row(number, name, colour, share) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !hidden().has(number) });
  box.addEventListener("change", () => {
    hidden()[box.checked ? "delete" : "add"](number);
    draw();
  });
  const swatch = piece("swatch", "");
  swatch.style.backgroundColor = colour;
  const label = document.createElement("label");
  label.append(box, swatch, piece("name", name), piece("share", `${(100 * share).toFixed(1)} %`));
  const item = document.createElement("li");
  item.append(label);
  return item;
}

function piece(kind, text) {
  return Object.assign(document.createElement("span"), { className: kind, textContent: text });
}

/** The colours of the classes that are not hidden, opaque: how far they cover is a style of the canvas. */
function draw() {
  const { labels, colours } = current();
  const canvas = $("overlay");
  canvas.width = result.width;
  canvas.height = result.height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(result.width, result.height);
  const table = colours.map((colour, k) => {
    if (hidden().has(k)) return 0;
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return (255 << 24) | (blue << 16) | (green << 8) | red;  // in memory red comes first
  });
  const whole = new Uint32Array(pixels.data.buffer);
  for (let at = 0; at < labels.length; at += 1) whole[at] = table[labels[at]];
  context.putImageData(pixels, 0, 0);
  canvas.style.opacity = $("alpha").value;
}

/** The image with the classes as they are shown. */
function overlay() {
  const canvas = document.createElement("canvas");
  canvas.width = result.width;
  canvas.height = result.height;
  const context = canvas.getContext("2d");
  context.drawImage($("photo"), 0, 0, canvas.width, canvas.height);
  context.globalAlpha = Number($("alpha").value);
  context.drawImage($("overlay"), 0, 0);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob) });
    link.download = `${stem()}_overlay.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

function point(event) {
  const box = $("overlay").getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * result.width);
  const y = Math.floor((event.clientY - box.top) / box.height * result.height);
  const inside = x >= 0 && y >= 0 && x < result.width && y < result.height;
  $("under").value = inside ? current().classes[current().labels[y * result.width + x]] : "–";
}

function say(status, problem) {
  $("status").textContent = status;
  $("problem").textContent = problem;
}

function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

// -- what the user does -------------------------------------------------------------------------------

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";  // so that the same file can be chosen again
  if (file) take(file);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) take(file);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) take(file);
});
$("overlay").addEventListener("pointermove", point);
$("overlay").addEventListener("pointerdown", point);
$("overlay").addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse") $("under").value = "–";  // a finger leaves by letting go
});
$("alpha").addEventListener("input", () => { $("overlay").style.opacity = $("alpha").value; });
$("labeling").addEventListener("change", () => {
  result.shown = Number($("labeling").value);
  refresh();
});
$("all").addEventListener("click", () => { hidden().clear(); refresh(); });
$("none").addEventListener("click", () => { current().classes.forEach((_, k) => hidden().add(k)); refresh(); });
$("overlay-png").addEventListener("click", overlay);
$("theme").addEventListener("click", toggleTheme);

fetch("about").then((answer) => answer.json()).then((found) => {
  about = found;
  document.title = $("title").textContent = found.title;
  const megabytes = Math.round(about.bytes / 1e6 * 10) / 10;
  $("limits").textContent = `Images of more than ${about.pixels.toLocaleString("en")} pixels or ${megabytes} MB `
    + "are made smaller first. None is kept.";
  document.body.classList.add("ready");
}).catch(() => say("", "The server does not answer."));
