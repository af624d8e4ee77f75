(() => {
  const times = data.timestamps_us.map((t) => t / 1e6);
  const video = byId("video"), chart = byId("chart"), canvas = byId("lanes"), cursor = byId("cursor");
  const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00", "#999999"];

  const [lowest, highest] = data.curve_range;
  const valueText = valueTextOf(lowest, highest);
  const unpackAll = (packed, low, high) => Object.entries(packed).map(([name, text]) => ({name, values: unpack(text, low, high), shown: true}));
  const expressions = unpackAll(data.curves, lowest, highest), modalities = unpackAll(data.attention, 0, 1);
  const overview = {name: "all together", values: unpack(data.overview, 0, highest - lowest)};
  modalities.forEach((m, i) => { m.colour = PALETTE[i % PALETTE.length]; });
  const step = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 1;
  let end = times.length ? times[times.length - 1] + step : 1;
  let virtualTime = 0;

  const now = () => (video && video.readyState > 0 ? video.currentTime : virtualTime);
  const signed = (v) => `${v < 0 ? "−" : "+"}${valueText(Math.abs(v))}`;

  const indexAt = (t) => lastAt(times, t);

  function seek(t) {
    const bounded = Math.min(Math.max(t, 0), end);
    virtualTime = bounded;
    if (video && video.readyState > 0) video.currentTime = Math.min(bounded, video.duration || bounded);
    follow();
  }

  /* ---- drawing ---- */
  let layout = {left: 0, width: 1, laneHeight: 40, shown: [], lanes: []};
  function measure() {
    const narrow = chart.clientWidth < 600;
    const shown = expressions.filter((e) => e.shown);
    const laneHeight = narrow ? 34 : 40, left = narrow ? 0 : 118, right = narrow ? 0 : 46;
    const height = (Math.max(shown.length, 1) + 1) * laneHeight + 22;
    layout = {left, narrow, width: Math.max(chart.clientWidth - left - right, 10), laneHeight, shown, lanes: [overview, ...shown], height};
  }
  const x = (t) => layout.left + (t / end) * layout.width;

  /* Points of a curve. Where there are more frames than pixels, a column shows its highest value: no peak is thinned away. */
  function points(values) {
    if (times.length <= layout.width) return times.map((t, i) => [x(t), values[i]]);
    const out = new Map();
    for (let i = 0; i < times.length; i++) {
      const column = Math.floor(x(times[i]));
      out.set(column, Math.max(out.get(column) ?? -Infinity, values[i]));
    }
    return [...out];
  }

  function drawLane(context, colours, lane, top) {
    const common = byId("common-scale").checked;
    const pool = common && lane !== overview ? layout.shown : [lane];
    let low = lane === overview ? 0 : Infinity, high = -Infinity;
    for (const e of pool) for (const v of e.values) { if (v < low) low = v; if (v > high) high = v; }
    if (!(high > low)) { low -= lane === overview ? 0 : 0.5; high += 0.5; }
    const base = top + layout.laneHeight - 3, room = layout.laneHeight - (layout.narrow ? 16 : 14);
    const y = (v) => base - ((v - low) / (high - low)) * room;
    const line = points(lane.values);
    if (line.length) {
      context.beginPath();
      context.moveTo(line[0][0], base);
      for (const [at, value] of line) context.lineTo(at, y(value));
      context.lineTo(line[line.length - 1][0], base);
      context.closePath();
      context.fillStyle = lane === overview ? colours.line : colours.fill; context.fill();
    }
    context.beginPath();
    line.forEach(([at, value], i) => { if (i) context.lineTo(at, y(value)); else context.moveTo(at, y(value)); });
    context.strokeStyle = lane === overview ? colours.faint : colours.curve; context.lineWidth = 1.5; context.stroke();
    context.fillStyle = colours.ink; context.textBaseline = layout.narrow ? "top" : "middle";
    context.fillText(lane.name, layout.narrow ? 6 : 8, layout.narrow ? top + 2 : top + layout.laneHeight / 2);
    lane.top = top;
    for (const moment of data.moments) {
      if (moment.expression !== lane.name) continue;
      const at = x(moment.peak_us / 1e6), tip = y(lane.values[indexAt(moment.peak_us / 1e6)]);
      context.beginPath();
      context.moveTo(at, tip - 1); context.lineTo(at - 5, tip - 9); context.lineTo(at + 5, tip - 9);
      context.closePath(); context.fillStyle = colours.mark; context.fill();
      context.fillRect(x(moment.start_us / 1e6), base, Math.max(x(moment.end_us / 1e6) - x(moment.start_us / 1e6), 2), 2.5);
    }
    context.strokeStyle = colours.line; context.lineWidth = 1;
    context.strokeRect(0, top + layout.laneHeight, chart.clientWidth, 0);
  }

  function drawAttention() {
    const height = 60, context = contextOf(byId("shares"), chart.clientWidth, height);
    for (let c = 0; c < layout.width; c++) {
      const i = indexAt((c / layout.width) * end);
      let y = height;
      for (const modality of modalities) {
        const share = modality.values[i] * height;
        context.fillStyle = modality.colour;
        context.fillRect(layout.left + c, y - share, 1.5, share);
        y -= share;
      }
    }
  }

  function drawAxis(context, colours) {
    const unit = tickUnit(end, layout.width);
    context.fillStyle = colours.faint; context.textBaseline = "middle";
    for (let t = 0; t < end; t += unit) {
      context.fillRect(x(t), layout.height - 20, 1, 4);
      context.fillText(unit < 1 ? clockText(t) : clockText(t).replace(/\.0$/, ""), x(t) + 3, layout.height - 9);
    }
  }

  function draw() {
    measure();
    const colours = themeColours();
    const context = contextOf(canvas, chart.clientWidth, layout.height);
    context.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    layout.lanes.forEach((lane, i) => drawLane(context, colours, lane, i * layout.laneHeight));
    if (!layout.shown.length) { context.fillStyle = colours.faint; context.fillText("No curve is switched on.", 8, layout.laneHeight + 22); }
    drawAxis(context, colours);
    if (byId("attention").open) drawAttention();
    follow();
  }

  /* ---- following the video ---- */
  const values = document.createElement("div");
  values.className = "values"; values.setAttribute("aria-hidden", "true");
  chart.appendChild(values);

  function captionAt(t) {
    const us = t * 1e6;
    const cue = data.captions.find(([start, stop]) => start <= us && us < stop);
    return cue ? cue[2] : "";
  }
  function follow() {
    const t = now();
    cursor.style.left = `${x(Math.min(t, end))}px`;
    byId("clock").textContent = clockText(t);
    byId("caption").textContent = captionAt(t);
    const i = indexAt(t);
    const strongest = layout.shown.length ? layout.shown.reduce((a, b) => (b.values[i] > a.values[i] ? b : a)) : null;
    chart.setAttribute("aria-valuenow", t.toFixed(1));
    chart.setAttribute("aria-valuetext", `${clockText(t)}${strongest ? `, highest: ${strongest.name} ${valueText(strongest.values[i])}` : ""}`);
    if (!layout.narrow) {
      values.replaceChildren(...layout.lanes.map((lane) => {
        const item = document.createElement("span");
        item.textContent = valueText(lane.values[i]);
        item.style.cssText = `position:absolute;right:4px;top:${lane.top + layout.laneHeight / 2 - 9}px;font-size:12px;font-variant-numeric:tabular-nums`;
        item.dataset.expression = lane.name;
        return item;
      }));
    } else values.replaceChildren();
    document.querySelectorAll(".moment").forEach((button) => {
      const moment = data.moments[Number(button.dataset.moment)];
      button.setAttribute("aria-current", String(t * 1e6 >= moment.start_us && t * 1e6 < moment.end_us));
    });
  }
  function animate() { follow(); if (video && !video.paused && !video.ended) requestAnimationFrame(animate); }

  /* ---- controls ---- */
  for (const expression of expressions) {
    const label = element("label"), box = element("input");
    box.type = "checkbox"; box.checked = true; box.name = expression.name;
    box.addEventListener("change", () => { expression.shown = box.checked; draw(); });
    expression.box = box;
    label.append(box, expression.name);
    byId("switches").append(label);
  }
  for (const modality of modalities) {
    const item = element("li"), patch = element("span", "patch");
    patch.style.background = modality.colour;
    item.append(patch, modality.name);
    byId("legend").append(item);
  }
  const switchAll = (on) => { expressions.forEach((e) => { e.shown = on; e.box.checked = on; }); draw(); };
  byId("all").addEventListener("click", () => switchAll(true));
  byId("none").addEventListener("click", () => switchAll(false));
  byId("common-scale").addEventListener("change", draw);
  byId("attention").hidden = modalities.length === 0;
  byId("attention").addEventListener("toggle", draw);

  /* How far the longest bar of all moments goes, so that all can be compared. */
  const furthest = Math.max(...data.moments.flatMap((m) => Object.values(m.contributions).map(Math.abs)));
  function momentButton(moment, number) {
    const button = element("button", "moment");
    button.type = "button"; button.dataset.moment = String(number);
    if (moment.thumbnail) {
      const image = element("img"); image.src = moment.thumbnail; image.alt = ""; button.append(image);
    } else button.append(element("span", "blank"));
    button.append(element("span", "what", moment.expression));
    button.append(element("span", "when", `${clockText(moment.peak_us / 1e6)} · +${valueText(moment.height)}`));
    button.append(element("span", "said", moment.caption ? `“${moment.caption}”` : ""));
    const why = element("span", "why");
    const ranked = Object.entries(moment.contributions).filter(([, v]) => Number(valueText(v)) !== 0).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    for (const [name, v] of ranked) {
      const track = element("span", "track"), bar = element("span", v < 0 ? "lowers" : "raises");
      bar.style.width = `${(Math.abs(v) / furthest) * 50}%`;
      track.append(bar);
      why.append(element("span", "", name), " ", track, element("span", "", signed(v)), " ");
    }
    button.append(why);
    button.addEventListener("click", () => seek(moment.peak_us / 1e6));
    return button;
  }
  data.moments.forEach((moment, number) => {
    const item = element("li"); item.append(momentButton(moment, number)); byId("moments").append(item);
  });
  byId("no-moments").hidden = data.moments.length > 0;

  const timeAt = (event) => ((event.clientX - chart.getBoundingClientRect().left - chart.clientLeft - layout.left) / layout.width) * end;
  let dragging = false;
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = event.pointerType === "mouse"; if (dragging) chart.setPointerCapture(event.pointerId);
    if (dragging) seek(timeAt(event));
  });
  chart.addEventListener("pointermove", (event) => { if (dragging) seek(timeAt(event)); });
  chart.addEventListener("pointerup", () => { dragging = false; });
  chart.addEventListener("click", (event) => seek(timeAt(event)));

  function toMoment(direction) {
    const peaks = [...new Set(data.moments.map((m) => m.peak_us / 1e6))].sort((a, b) => a - b);
    const t = now();
    const found = direction > 0 ? peaks.find((p) => p > t + 0.05) : peaks.reverse().find((p) => p < t - 0.05);
    if (found !== undefined) seek(found);
  }
  const keys = {
    ArrowRight: () => seek(now() + 1), ArrowLeft: () => seek(now() - 1), ArrowUp: () => seek(now() + 1), ArrowDown: () => seek(now() - 1),
    PageUp: () => seek(now() + 10), PageDown: () => seek(now() - 10), Home: () => seek(0), End: () => seek(end),
    " ": () => { if (video) { if (video.paused) video.play(); else video.pause(); } },
    n: () => toMoment(1), N: () => toMoment(1), p: () => toMoment(-1), P: () => toMoment(-1),
  };
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault(); keys[event.key]();
  });

  if (video) {
    video.addEventListener("play", animate);
    const offerFile = () => { byId("file").href = video.src; byId("unplayable").hidden = false; };
    video.addEventListener("error", offerFile);
    for (const name of ["timeupdate", "seeked", "pause"]) video.addEventListener(name, follow);
    video.addEventListener("loadedmetadata", () => {
      if (!video.videoWidth) offerFile();  // sound alone plays where the codec of the picture (HEVC, say) is unknown
      if (Number.isFinite(video.duration) && video.duration > end) end = video.duration;
      chart.setAttribute("aria-valuemax", end.toFixed(1)); draw();
    });
  }
  chart.setAttribute("aria-valuemax", end.toFixed(1));
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
