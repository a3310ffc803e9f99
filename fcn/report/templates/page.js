"use strict";
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  /* What a picture's longer side is drawn with at least, so that lines over small images are thin. */
  const SIDE = 640;
  const CORRECT = [0, 114, 178, 110], WRONG = [224, 106, 0, 235], VOID = [140, 150, 158, 200];

  // -- light and dark ---------------------------------------------------------------------------------

  const theme = document.getElementById("theme");
  const modes = ["auto", "light", "dark"];
  function wear(mode) {
    if (mode === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    theme.textContent = mode;
    theme.setAttribute("aria-label", mode === "auto" ? "colours: as the system has them" : `colours: ${mode}`);
  }
  theme.addEventListener("click", () => wear(modes[(modes.indexOf(theme.textContent) + 1) % modes.length]));

  // -- pictures ---------------------------------------------------------------------------------------

  function canvasOf(width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
  }

  /* The classes of a labeling, with their colours. */
  class Palette {
    constructor({ classes, clear, none }) {
      Object.assign(this, { classes, clear, none });
      this.index = new Map(classes.map(({ rgb }, k) => [(255 << 24 | rgb[2] << 16 | rgb[1] << 8 | rgb[0]) >>> 0, k]));
    }

    name(k) { return k < this.classes.length ? this.classes[k].name : this.none; }

    css(k) { return k < this.classes.length ? this.classes[k].css : "transparent"; }
  }

  /* The class of each pixel of a label map, whose colours are those of the classes; what is no class is void. */
  function labels(image, { index, clear }) {
    const [canvas, pen] = canvasOf(image.naturalWidth, image.naturalHeight);
    pen.drawImage(image, 0, 0);
    const data = pen.getImageData(0, 0, canvas.width, canvas.height);
    const pixels = new Uint32Array(data.data.buffer);
    const map = new Uint8Array(pixels.length);
    for (let i = 0; i < pixels.length; i++) {
      const k = index.get(pixels[i]);
      map[i] = k === undefined ? 255 : k;
      if (k === clear) pixels[i] = 0;
    }
    outline(map, pixels, canvas.width);
    pen.putImageData(data, 0, 0);
    return { map, layer: canvas };
  }

  /* A light line where two classes meet: dark classes on dark images have an edge too. */
  function outline(map, pixels, width) {
    for (let i = 0; i + width < map.length; i++) {
      const right = (i + 1) % width ? map[i + 1] : map[i], below = map[i + width];
      const isEdge = map[i] !== right || map[i] !== below;
      if (isEdge && Math.max(map[i], right, below) !== 255) pixels[i] = 0xfff5f5f5;
    }
  }

  function errors(truth, guess, width, height) {
    const [canvas, pen] = canvasOf(width, height);
    const data = pen.createImageData(width, height);
    for (let i = 0; i < truth.length; i++) {
      const colour = truth[i] === 255 ? VOID : truth[i] === guess[i] ? CORRECT : WRONG;
      data.data.set(colour, 4 * i);
    }
    pen.putImageData(data, 0, 0);
    return canvas;
  }

  class Viewer {
    constructor(figure, palette, opacity) {
      Object.assign(this, { figure, palette, opacity });
      this.stage = figure.querySelector(".stage");
      this.slider = figure.querySelector("input");
      this.stops = all("[data-stop]", figure);
      this.views = this.stops.map((stop) => stop.textContent);
      this.under = figure.querySelector(".under");
      this.larger = figure.querySelector(".larger");
      this.cursor = null;
    }

    async start() {
      const images = all("img", this.stage);
      await Promise.all(images.map((image) => image.decode()));
      const picture = (view) => images.find((image) => image.dataset.view === view);
      const [truth, guess] = ["truth", "prediction"].map((view) => labels(picture(view), this.palette));
      [this.width, this.height] = [truth.layer.width, truth.layer.height];
      this.truth = truth.map;
      this.guess = guess.map;
      this.photo = picture("image");
      const wrong = errors(truth.map, guess.map, this.width, this.height);
      this.layers = { truth: truth.layer, prediction: guess.layer, errors: wrong };
      this.zoom = Math.max(1, Math.round(SIDE / Math.max(this.width, this.height)));
      [this.canvas, this.pen] = canvasOf(this.zoom * this.width, this.zoom * this.height);
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label",
        `${this.figure.querySelector("b").textContent}: arrow keys move over the pixels, and say their classes`);
      this.tags = ["left", "right"].map((side) => {
        const tag = document.createElement("span");
        tag.className = `tag ${side}`;
        return tag;
      });
      this.stage.append(this.canvas, ...this.tags);
      this.stage.classList.add("live");
      this.listen();
      this.draw();
    }

    listen() {
      this.slider.addEventListener("input", () => this.draw());
      this.stops.forEach((stop) => stop.addEventListener("click", () => this.show(stop.dataset.stop)));
      this.larger.addEventListener("click", () => {
        const large = this.figure.classList.toggle("large");
        this.larger.setAttribute("aria-pressed", String(large));
        this.larger.textContent = large ? "smaller" : "larger";
      });
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerdown", (event) => this.point(event));
      this.canvas.addEventListener("pointerleave", () => this.leave());
      this.canvas.addEventListener("blur", () => this.leave());
      this.canvas.addEventListener("keydown", (event) => this.key(event));
    }

    show(value) {
      this.slider.value = value;
      this.draw();
    }

    draw() {
      const at = Number(this.slider.value), below = Math.floor(at), part = at - below;
      const { width } = this.canvas, edge = Math.round(part * width);
      this.paint(this.views[below], width);
      if (edge > 0) {
        this.paint(this.views[below + 1], edge);
        this.pen.fillStyle = "#fff";
        this.pen.fillRect(edge - 1, 0, 3, this.canvas.height);
      }
      if (this.cursor) this.cross(this.cursor);
      this.say(below, part, edge > 0);
    }

    say(below, part, parted) {
      const [left, right] = this.tags;
      left.textContent = this.views[parted ? below + 1 : below];
      right.textContent = this.views[below];
      right.hidden = !parted;
      const share = Math.round(100 * part);
      this.slider.setAttribute("aria-valuetext",
        parted ? `${left.textContent} ${share} %, ${right.textContent} ${100 - share} %` : left.textContent);
      this.stops.forEach((stop, k) => stop.setAttribute("aria-pressed", String(!parted && k === below)));
    }

    /* A view, from the left up to the column `to`. */
    paint(view, to) {
      const { pen, canvas: { width, height } } = this;
      pen.save();
      pen.beginPath();
      pen.rect(0, 0, to, height);
      pen.clip();
      pen.clearRect(0, 0, width, height);
      if (this.photo) pen.drawImage(this.photo, 0, 0, width, height);
      if (view !== "image") {
        if (this.photo && view !== "errors") pen.globalAlpha = Number(this.opacity.value) / 100;
        pen.imageSmoothingEnabled = false;
        pen.drawImage(this.layers[view], 0, 0, width, height);
      }
      pen.restore();
    }

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      this.cursor = null;
      this.tell(
        clamp(Math.floor((event.clientX - box.left) / box.width * this.width), 0, this.width - 1),
        clamp(Math.floor((event.clientY - box.top) / box.height * this.height), 0, this.height - 1));
    }

    key(event) {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const stride = event.shiftKey ? 1 : Math.max(1, Math.round(this.width / 40));
      const [x, y] = this.cursor || [this.width >> 1, this.height >> 1];
      this.cursor = [
        clamp(x + stride * step[0], 0, this.width - 1), clamp(y + stride * step[1], 0, this.height - 1)];
      this.draw();
      this.tell(...this.cursor);
    }

    cross(at) {
      const { pen, canvas: { width, height } } = this;
      const [x, y] = at.map((place) => Math.floor((place + 0.5) * this.zoom));
      for (const [colour, thick] of [["#000", 3], ["#fff", 1]]) {
        pen.fillStyle = colour;
        pen.fillRect(0, y - (thick >> 1), width, thick);
        pen.fillRect(x - (thick >> 1), 0, thick, height);
      }
    }

    tell(x, y) {
      const at = y * this.width + x, truth = this.truth[at], guess = this.guess[at];
      this.under.replaceChildren(chip("truth", truth, this.palette), chip("prediction", guess, this.palette));
    }

    leave() {
      const moved = this.cursor;
      this.cursor = null;
      this.under.textContent = "\u00a0";
      if (moved) this.draw();
    }
  }

  function chip(what, k, palette) {
    const swatch = document.createElement("i");
    swatch.style.background = palette.css(k);
    const name = document.createElement("b");
    name.textContent = palette.name(k);
    const whole = document.createElement("span");
    whole.append(`${what}: `, swatch, name);
    return whole;
  }

  /* The images of a labeling, and what is set for all of them. */
  function gallery(labeling) {
    const palette = new Palette(JSON.parse(labeling.querySelector(".palette").textContent));
    const every = labeling.querySelector(".every"), opacity = labeling.querySelector(".opacity");
    const viewers = all(".example", labeling).map((figure) => new Viewer(figure, palette, opacity));
    if (every) {
      every.addEventListener("input", () => viewers.forEach((viewer) => viewer.canvas && viewer.show(every.value)));
      opacity.addEventListener("input", () => {
        opacity.setAttribute("aria-valuetext", `${opacity.value} %`);
        viewers.forEach((viewer) => viewer.canvas && viewer.draw());
      });
    }
    return viewers;
  }

  const labelings = all(".labeling");
  const viewers = labelings.flatMap(gallery);
  (async () => {
    for (const viewer of viewers) await viewer.start();
    document.documentElement.dataset.ready = "";
  })();

  // -- labelings --------------------------------------------------------------------------------------

  const choice = document.querySelector(".choice");
  function choose(number) {
    labelings.forEach((one, k) => { one.hidden = k !== number; });
    const { end } = labelings[number].dataset;
    all("[data-part]").forEach((link) => link.setAttribute("href", `#${link.dataset.part}${end}`));
  }
  /* The labeling that has what the address names. */
  function follow() {
    const part = document.getElementById(location.hash.slice(1));
    const number = labelings.indexOf(part && part.closest(".labeling"));
    if (number < 0 || !labelings[number].hidden) return;
    choice.elements[number].checked = true;
    choose(number);
    part.scrollIntoView();
  }
  if (choice) {
    choice.hidden = false;
    choice.addEventListener("change", () => choose(Number(choice.querySelector(":checked").value)));
    choose(0);
    follow();
    addEventListener("hashchange", follow);
  }

  // -- tables -----------------------------------------------------------------------------------------

  for (const table of all("table.classes")) {
    const heads = all("thead th", table), body = table.tBodies[0];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const states = column ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const state = states[(states.indexOf(head.ariaSort) + 1) % 3];
      heads.forEach((other) => { other.ariaSort = "none"; });
      head.ariaSort = state;
      const value = (row) => column && state !== "none" ? Number(row.cells[column].dataset.value) : 0;
      const order = (row) => Number(row.dataset.order);
      const sign = state === "descending" ? -1 : 1;
      const byName = !column && state !== "none";
      body.append(...[...body.rows].sort((a, b) =>
        byName ? sign * a.cells[0].textContent.localeCompare(b.cells[0].textContent)
          : sign * (value(a) - value(b)) || order(a) - order(b)));
    }));
  }

  for (const section of all(".confused")) {
    const table = section.querySelector("table"), readout = section.querySelector(".readout");
    const counts = JSON.parse(section.querySelector(".counts").textContent);
    const columns = all("thead th", table), rows = [...table.tBodies[0].rows];
    const cellAt = (row, column) => rows[row].cells[column + 1];
    const percent = (part, whole) => whole ? `${(100 * part / whole).toFixed(2)} %` : "none";
    let lit = [];

    const place = (target) => {
      const cell = target.closest("tbody td");
      return cell && [cell.parentElement.rowIndex - 1, cell.cellIndex - 1];
    };
    const light = ([row, column]) => {
      lit.forEach((head) => head.classList.remove("on"));
      lit = [rows[row].cells[0], columns[column]];
      lit.forEach((head) => head.classList.add("on"));
      const whole = counts[row].reduce((sum, count) => sum + count, 0), part = counts[row][column];
      const [truth, guess] = lit.map((head) => head.textContent.trim());
      readout.textContent = `truth ${truth}, predicted as ${guess}: ${percent(part, whole)} ` +
        `(${part.toLocaleString("en")} of ${whole.toLocaleString("en")} pixels)`;
    };
    const focus = (row, column) => {
      all("td[tabindex='0']", table).forEach((cell) => { cell.tabIndex = -1; });
      const cell = cellAt(row, column);
      cell.tabIndex = 0;
      cell.focus();
    };
    cellAt(0, 0).tabIndex = 0;
    table.addEventListener("pointerover", (event) => {
      const at = place(event.target);
      if (at) light(at);
    });
    table.addEventListener("focusin", (event) => {
      const at = place(event.target);
      if (at) light(at);
    });
    table.addEventListener("keydown", (event) => {
      const at = place(event.target);
      const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
        Home: [0, -counts.length], End: [0, counts.length] };
      const step = steps[event.key];
      if (!at || !step) return;
      event.preventDefault();
      focus(clamp(at[0] + step[0], 0, rows.length - 1), clamp(at[1] + step[1], 0, rows.length - 1));
    });
    table.addEventListener("click", (event) => {
      const at = place(event.target);
      if (at) focus(...at);
    });
  }
})();
