"use strict";
/* What the scripts of all pages with curves share. */
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

/* Numbers that were packed as 16 bits of low..high. */
function unpack(text, low, high) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({length: bytes.length / 2}, (_, i) => low + (high - low) * view.getUint16(2 * i, true) / data.full_scale);
}

/* Writes values of a range with as many digits as tell its thousandths apart. */
function valueTextOf(low, high) {
  const digits = Math.min(Math.max(3 - Math.floor(Math.log10(high - low)), 0), 12);
  return (v) => v.toFixed(digits);
}
const clockText = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

/* Last index whose time is at or before t; rows hold until the next one. */
function lastAt(times, t) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= t + 1e-6) low = middle; else high = middle - 1;
  }
  return low;
}

/* A canvas, cleared, in units of a pixel of the page. */
function contextOf(surface, width, height) {
  const ratio = window.devicePixelRatio || 1;
  surface.width = Math.round(width * ratio);
  surface.height = Math.round(height * ratio);
  surface.style.height = `${height}px`;
  const context = surface.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/* Seconds between ticks, so that their labels have room. */
function tickUnit(seconds, width) {
  const wish = seconds / (width / 90);
  return [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((u) => u >= wish) || 7200;
}

function themeColours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {curve: colour("--curve"), fill: colour("--curve-fill"), ink: colour("--ink"), faint: colour("--faint"),
    line: colour("--line"), mark: colour("--mark")};
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
