"use strict";
// Zooming and filters. Everything is drawn already, in percent of the length of each strip: to
// show another piece of time is to move and stretch the inner SVG of every strip.
(() => {
  const SVG = document.querySelector("svg").namespaceURI;
  const PIXELS_A_TICK = 80;
  const ZOOM_MAX = 4000; // times the whole: a browser's numbers are not finer than that
  const LABEL_PIXELS_MIN = 14; // a shorter band has no room for its label
  const STEP = 0.25; // of what is shown, by one press of an arrow

  const percent = (share) => `${share * 100}%`;

  function stepOf(length, most) {
    const rough = length / Math.max(most, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * (1 - 1e-9));
  }

  function make(name, attributes, words) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    return made;
  }

  class Chart {
    constructor(element) {
      this.element = element;
      this.begin = Number(element.dataset.begin);
      this.end = Number(element.dataset.end);
      this.home = [Number(element.dataset.from), Number(element.dataset.to)];
      this.told = () => {};
      this.overlay = element.querySelector(".overlay");
      this.bands = [...element.querySelectorAll(".band")].map((one) => ({
        element: one,
        label: one.querySelector("text"),
        x: parseFloat(one.getAttribute("x")) / 100,
        width: parseFloat(one.getAttribute("width")) / 100,
        stay: Number(one.dataset.stay ?? 1),
      }));
      this.drag();
      element.addEventListener("keydown", (event) => this.key(event));
      this.show(...this.home);
    }

    get length() { return this.end - this.begin; }

    show(from, to) {
      if (!(to > from)) return;
      const length = Math.min(Math.max(to - from, this.length / ZOOM_MAX), this.length);
      const start = Math.min(Math.max(from, this.begin), this.end - length);
      [this.from, this.to] = [start, start + length];
      for (const inner of this.element.querySelectorAll(".win")) {
        inner.setAttribute("x", percent((this.begin - start) / length));
        inner.setAttribute("width", percent(this.length / length));
      }
      this.labels();
      this.ticks();
      this.told(this.from, this.to);
    }

    labels() { // where they are seen: at the left edge, if their band began before it
      const left = (this.from - this.begin) / this.length;
      const shown = (this.to - this.from) / this.length;
      const wide = this.overlay.clientWidth || 600;
      for (const { element, label, x, width, stay } of this.bands) {
        if (label === null) continue;
        const hidden = (left - x) / width;
        label.setAttribute("x", percent(hidden > 0 && hidden < stay ? hidden : 0));
        const seen = Math.min(x + width, left + shown) - Math.max(x, left);
        element.classList.toggle("tiny", (seen / shown) * wide < LABEL_PIXELS_MIN);
      }
    }

    ticks() {
      const wide = this.overlay.clientWidth || 600;
      const step = stepOf(this.to - this.from, wide / PIXELS_A_TICK);
      const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
      const groups = [...this.element.querySelectorAll(".ticks")];
      for (const group of groups) group.replaceChildren();
      const last = Math.floor(this.to / step + 1e-9);
      for (let n = Math.ceil(this.from / step - 1e-9); n <= last; n += 1) {
        const x = percent((n * step - this.begin) / this.length);
        const words = (n * step + 0).toFixed(digits);
        for (const group of groups) {
          if (group.closest(".underlay") !== null) {
            group.append(make("line", { x1: x, x2: x, y1: 0, y2: "100%", class: "grid" }));
          } else {
            group.append(make("line", { x1: x, x2: x, y1: 14, y2: 20 }));
            group.append(make("text", { x, y: 11 }, words));
          }
        }
      }
    }

    zoom(factor) {
      const middle = (this.from + this.to) / 2;
      const half = ((this.to - this.from) / 2) * factor;
      this.show(middle - half, middle + half);
    }

    move(share) {
      const by = (this.to - this.from) * share;
      this.show(this.from + by, this.to + by);
    }

    key(event) {
      const act = {
        ArrowLeft: () => this.move(-STEP),
        ArrowRight: () => this.move(STEP),
        "+": () => this.zoom(0.5),
        "-": () => this.zoom(2),
        0: () => this.show(...this.home),
      }[event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        act();
      }
    }

    timeAt(x) {
      const box = this.overlay.getBoundingClientRect();
      const share = Math.min(Math.max((x - box.left) / box.width, 0), 1);
      return this.from + share * (this.to - this.from);
    }

    drag() {
      let start = null;
      let shade = null;
      const inside = (x) => x >= this.overlay.getBoundingClientRect().left;
      this.element.addEventListener("pointerdown", (event) => {
        if (event.button === 0 && event.pointerType === "mouse" && inside(event.clientX)) {
          start = event.clientX;
          event.preventDefault();
          this.element.focus({ preventScroll: true });
        }
      });
      window.addEventListener("pointermove", (event) => {
        if (start === null || Math.abs(event.clientX - start) < 4) return;
        if (shade === null) {
          shade = document.createElement("div");
          shade.className = "drawn";
          this.element.append(shade);
        }
        const left = this.element.getBoundingClientRect().left;
        const [from, to] = [Math.min(start, event.clientX), Math.max(start, event.clientX)];
        shade.style.left = `${from - left}px`;
        shade.style.width = `${to - from}px`;
      });
      window.addEventListener("pointerup", (event) => {
        if (shade !== null) {
          const times = [this.timeAt(start), this.timeAt(event.clientX)].sort((a, b) => a - b);
          shade.remove();
          this.show(...times);
        }
        [start, shade] = [null, null];
      });
    }
  }

  function filter(run, who) {
    for (const row of run.querySelectorAll(".lane[data-who], tr")) {
      if (row.parentElement.tagName === "THEAD") continue;
      const about = (row.dataset.who || "").split(" ").filter(Boolean);
      row.hidden = Boolean(who) && about.length > 0 && !about.includes(who);
    }
  }

  function wire(run) {
    const charts = [...run.querySelectorAll(".chart")].map((one) => new Chart(one));
    const tools = run.querySelector(".tools");
    if (tools === null || charts.length === 0) return;
    const main = charts[charts.length - 1];
    const [from, to] = [tools.querySelector(".from"), tools.querySelector(".to")];
    main.told = (first, last) => {
      from.value = first.toFixed(3);
      to.value = last.toFixed(3);
    };
    for (const input of [from, to]) {
      input.addEventListener("change", () => main.show(Number(from.value), Number(to.value)));
    }
    for (const button of tools.querySelectorAll(".zoom")) {
      const { from: first, to: last } = button.dataset;
      button.addEventListener("click", () => main.show(Number(first), Number(last)));
    }
    const who = tools.querySelector(".who");
    who.addEventListener("change", () => filter(run, who.value));
    tools.hidden = false;
    window.addEventListener("resize", () => charts.forEach((one) => one.ticks()));
  }

  for (const run of document.querySelectorAll(".run")) wire(run);
})();
