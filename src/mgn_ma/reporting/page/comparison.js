(() => {
  const chart = byId("chart"), canvas = byId("lanes"), cursor = byId("cursor");
  const videos = [byId("video-0"), byId("video-1")];
  const [lowest, highest] = data.curve_range;
  const valueText = valueTextOf(lowest, highest);
  const signed = (v) => `${Number(valueText(v)) < 0 ? "−" : "+"}${valueText(Math.abs(v))}`;
  const BAR = 9, HEAD = 2 * BAR + 8;

  /* The one time line: passages in order, each as long as in the one that has it; all in seconds. */
  let end = 0;
  const passages = data.passages.map(([aStart, aEnd, bStart, bEnd]) => {
    const sides = [{start: aStart / 1e6, end: aEnd / 1e6}, {start: bStart / 1e6, end: bEnd / 1e6}];
    sides.forEach((side) => { side.has = side.end > side.start; });
    const passage = {sides, start: end, length: sides[0].has ? sides[0].end - sides[0].start : sides[1].end - sides[1].start};
    end += passage.length;
    return passage;
  });
  const shared = (passage) => passage.sides[0].has && passage.sides[1].has;
  const times = data.row_passage.map((number, i) => {
    const passage = passages[number], k = passage.sides[0].has ? 0 : 1;
    return passage.start + (k ? data.b_us[i] : data.a_us[i]) / 1e6 - passage.sides[k].start;
  });
  const span = highest - lowest;
  const lanes = Object.entries(data.curves).map(([name, packed]) => ({
    name, of: [unpack(packed.a, lowest, highest), unpack(packed.b, lowest, highest)],
    difference: unpack(packed.difference, -span, span), margin: packed.margin && unpack(packed.margin, 0, data.widest),
  }));
  const has = (i, k) => passages[data.row_passage[i]].sides[k].has;
  let now = 0, lead = 0;

  const passageAt = (t) => passages[lastAt(passages.map((p) => p.start), t)];
  /* Where a side stands at a time of the line; where it lacks the passage, it waits at the cut. */
  function timeOf(k, t) {
    const passage = passageAt(t), side = passage.sides[k];
    return Math.min(side.start + t - passage.start, side.end);
  }
  function lineTimeOf(k, t) {
    const passage = passages.findLast((p) => p.sides[k].has && p.sides[k].start <= t + 1e-6);
    return passage ? passage.start + Math.min(t - passage.sides[k].start, passage.length) : 0;
  }

  /* ---- drawing ---- */
  let layout = {left: 0, width: 1, laneHeight: 44};
  const x = (t) => layout.left + (t / end) * layout.width;

  /* Calls draw(first, last + 1) for each stretch of rows of one passage in which a side, or both, are. */
  function stretches(wanted, draw) {
    for (let first = 0; first < times.length;) {
      let next = first;
      while (next < times.length && data.row_passage[next] === data.row_passage[first]) next++;
      if (wanted.every((k) => has(first, k))) draw(first, next);
      first = next;
    }
  }
  function line(context, values, y, wanted, colour) {
    context.beginPath();
    stretches(wanted, (first, next) => {
      for (let i = first; i < next; i++) if (i > first) context.lineTo(x(times[i]), y(values[i])); else context.moveTo(x(times[i]), y(values[i]));
    });
    context.strokeStyle = colour; context.lineWidth = 1.5; context.stroke();
  }
  function scale(pairs, top) {
    let low = Infinity, high = -Infinity;
    for (const [values, wanted] of pairs) {
      stretches(wanted, (first, next) => { for (let i = first; i < next; i++) { low = Math.min(low, values[i]); high = Math.max(high, values[i]); } });
    }
    if (!(high > low)) { low -= 0.5; high += 0.5; }
    const base = top + layout.laneHeight - 4, room = layout.laneHeight - (layout.narrow ? 18 : 8);
    return (v) => base - ((v - low) / (high - low)) * room;
  }
  function drawCurves(context, colours, lane, top) {
    const y = scale([[lane.of[0], [0]], [lane.of[1], [1]]], top);
    [colours.curve, colours.mark].forEach((colour, k) => line(context, lane.of[k], y, [k], colour));
  }
  function drawDifference(context, colours, lane, top) {
    const both = [0, 1];
    /* A band that is wider than all differences is cut off, or nobody would see the line. */
    const widest = lane.difference.reduce((most, v, i) => (has(i, 0) && has(i, 1) ? Math.max(most, Math.abs(v)) : most), 0);
    const margin = lane.difference.map((_, i) => (lane.margin ? Math.min(lane.margin[i], widest) : 0));
    const low = lane.difference.map((v, i) => v - margin[i]), high = lane.difference.map((v, i) => v + margin[i]);
    const y = scale([[low, both], [high, both], [low.map(() => 0), both]], top);
    context.fillStyle = colours.fill;
    stretches(both, (first, next) => {
      context.beginPath();
      for (let i = first; i < next; i++) context.lineTo(x(times[i]), y(high[i]));
      for (let i = next - 1; i >= first; i--) context.lineTo(x(times[i]), y(low[i]));
      context.fill();
    });
    context.fillStyle = colours.faint;
    context.fillRect(layout.left, y(0), layout.width, 1);
    line(context, lane.difference, y, both, colours.curve);
  }
  function draw() {
    const narrow = chart.clientWidth < 600, left = narrow ? 0 : 118, right = narrow ? 0 : 112;
    const laneHeight = narrow ? 40 : 44, height = HEAD + lanes.length * laneHeight + 22;
    layout = {narrow, left, laneHeight, height, width: Math.max(chart.clientWidth - left - right, 10)};
    const colours = themeColours(), context = contextOf(canvas, chart.clientWidth, height);
    context.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    for (const passage of passages) {
      const at = x(passage.start), width = Math.max(x(passage.start + passage.length) - at, 1);
      if (!shared(passage)) { context.fillStyle = colours.line; context.globalAlpha = 0.5; context.fillRect(at, HEAD, width, lanes.length * laneHeight); context.globalAlpha = 1; }
      passage.sides.forEach((side, k) => {
        context.fillStyle = k ? colours.mark : colours.curve;
        if (side.has) context.fillRect(at, 3 + k * (BAR + 2), Math.max(width - 1, 1), BAR);
      });
    }
    const differences = byId("show-differences").checked;
    lanes.forEach((lane, i) => {
      const top = HEAD + i * laneHeight;
      (differences ? drawDifference : drawCurves)(context, colours, lane, top);
      context.fillStyle = colours.ink; context.textBaseline = narrow ? "top" : "middle";
      context.fillText(lane.name, narrow ? 6 : 8, narrow ? top + 2 : top + laneHeight / 2);
      context.strokeStyle = colours.line; context.lineWidth = 1; context.strokeRect(0, top + laneHeight, chart.clientWidth, 0);
    });
    context.fillStyle = colours.faint; context.textBaseline = "middle";
    const unit = tickUnit(end, layout.width);
    for (let t = 0; t < end; t += unit) {
      context.fillRect(x(t), height - 20, 1, 4);
      context.fillText(unit < 1 ? clockText(t) : clockText(t).replace(/\.0$/, ""), x(t) + 3, height - 9);
    }
    follow();
  }

  /* ---- following the videos ---- */
  const values = element("div", "values");
  values.setAttribute("aria-hidden", "true");
  chart.append(values);
  function valueLines(lane, i) {
    if (!byId("show-differences").checked) return [0, 1].map((k) => (has(i, k) ? `${"AB"[k]} ${valueText(lane.of[k][i])}` : ""));
    if (!has(i, 0) || !has(i, 1)) return [""];
    return [signed(lane.difference[i]), ...(lane.margin ? [`± ${valueText(lane.margin[i])}`] : [])];
  }
  function follow() {
    cursor.style.left = `${x(now)}px`;
    [0, 1].forEach((k) => { if (byId(`clock-${k}`)) byId(`clock-${k}`).textContent = clockText(timeOf(k, now)); });
    const i = lastAt(times, now), both = has(i, 0) && has(i, 1);
    chart.setAttribute("aria-valuenow", now.toFixed(1));
    const furthest = both && lanes.reduce((one, other) => (Math.abs(other.difference[i]) > Math.abs(one.difference[i]) ? other : one));
    const said = both ? `furthest apart: ${furthest.name} ${signed(furthest.difference[i])}` : `only in ${has(i, 0) ? "A" : "B"}`;
    chart.setAttribute("aria-valuetext", `A ${clockText(timeOf(0, now))}, B ${clockText(timeOf(1, now))}, ${said}`);
    values.replaceChildren(...(layout.narrow ? [] : lanes.map((lane, number) => {
      const item = element("span", "pair-values");
      item.style.top = `${HEAD + number * layout.laneHeight + 4}px`;
      item.dataset.expression = lane.name;
      item.append(...valueLines(lane, i).map((text) => element("span", "", text)));
      return item;
    })));
  }
  function place(k) {
    const video = videos[k], t = timeOf(k, now);
    if (video && video.readyState > 0 && Math.abs(video.currentTime - t) > 0.02) video.currentTime = t;
  }
  function seek(t) {
    now = Math.min(Math.max(t, 0), end);
    place(0); place(1); follow();
  }
  videos.forEach((video, k) => {
    if (!video) return;
    const followVideo = () => {
      if (lead !== k) return;
      now = lineTimeOf(k, video.currentTime);
      follow();
      if (!video.paused && !video.ended) requestAnimationFrame(followVideo);
    };
    video.addEventListener("play", () => { lead = k; const other = videos[1 - k]; if (other) other.pause(); followVideo(); });
    video.addEventListener("pause", () => { if (lead === k) { followVideo(); place(1 - k); } });
    video.addEventListener("pointerdown", () => { lead = k; });
    const say = () => { byId(`unplayable-${k}`).hidden = false; };
    video.addEventListener("error", say);
    video.addEventListener("loadedmetadata", () => { if (!video.videoWidth) say(); place(k); });
  });

  /* ---- controls ---- */
  for (const name of ["show-curves", "show-differences"]) byId(name).addEventListener("change", draw);
  document.querySelectorAll("[data-row]").forEach((button) => button.addEventListener("click", () => seek(times[Number(button.dataset.row)])));
  document.querySelectorAll("[data-passage]").forEach((button) => button.addEventListener("click", () => seek(passages[Number(button.dataset.passage)].start)));
  const timeAt = (event) => ((event.clientX - chart.getBoundingClientRect().left - chart.clientLeft - layout.left) / layout.width) * end;
  let dragging = false;
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = event.pointerType === "mouse"; if (dragging) { chart.setPointerCapture(event.pointerId); seek(timeAt(event)); }
  });
  chart.addEventListener("pointermove", (event) => { if (dragging) seek(timeAt(event)); });
  chart.addEventListener("pointerup", () => { dragging = false; });
  chart.addEventListener("click", (event) => seek(timeAt(event)));
  const keys = {
    ArrowRight: () => seek(now + 1), ArrowLeft: () => seek(now - 1), ArrowUp: () => seek(now + 1), ArrowDown: () => seek(now - 1),
    PageUp: () => seek(now + 10), PageDown: () => seek(now - 10), Home: () => seek(0), End: () => seek(end),
  };
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault(); keys[event.key]();
  });
  chart.setAttribute("aria-valuemax", end.toFixed(1));
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
