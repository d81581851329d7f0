"use strict";
// Plays skeleton clips on canvases, all in step. Every player is a element with data-player that holds its clips as JSON.

const SPREAD = 4; // frames on either side that smooth the path of a following camera
const BONE = 0.029, HEAD = 0.062; // in statures

function decode(clip, joints, channels) {
  const bytes = Uint8Array.from(atob(clip.data), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const world = new Float32Array(clip.frames * joints * 3); // x, y up, z; 2-D clips lie at z = 0
  for (let i = 0; i < clip.frames * joints; i++)
    for (let c = 0; c < channels; c++) world[3 * i + c] = view.getInt16(2 * (i * channels + c), true) * clip.step;
  return world;
}

function rootPath(world, frames, joints, root) {
  const path = new Float32Array(frames * 2);
  for (let f = 0; f < frames; f++)
    for (let d = -SPREAD; d <= SPREAD; d++) {
      const at = 3 * (Math.min(Math.max(f + d, 0), frames - 1) * joints + root);
      path[2 * f] += world[at] / (2 * SPREAD + 1);
      path[2 * f + 1] += world[at + 2] / (2 * SPREAD + 1);
    }
  return path;
}

function fit(clips, joints, follow, head) {
  // What all clips need as they turn about the upright axis: the outline (radius, height) of the solid they sweep.
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  const each = (use) => {
    for (const { world, path, frames } of clips)
      for (let f = 0; f < frames; f++)
        for (let j = 0; j < joints; j++) {
          const at = 3 * (f * joints + j);
          use(world[at] - (follow ? path[2 * f] : 0), world[at + 1], world[at + 2] - (follow ? path[2 * f + 1] : 0));
        }
  };
  each((...place) => place.forEach((x, i) => { low[i] = Math.min(low[i], x); high[i] = Math.max(high[i], x); }));
  const centre = low.map((x, i) => (x + high[i]) / 2);
  const directions = Array.from({ length: 33 }, (_, i) => [Math.cos((i / 32 - 0.5) * Math.PI), Math.sin((i / 32 - 0.5) * Math.PI)]);
  const outline = directions.map(() => [-Infinity, 0, 0]);
  each((x, y, z) => {
    const radius = Math.hypot(x - centre[0], z - centre[2]), height = y - centre[1];
    directions.forEach(([c, s], i) => { if (c * radius + s * height > outline[i][0]) outline[i] = [c * radius + s * height, radius, height]; });
  });
  const rim = outline.map(([, radius, height]) => [radius + head, height]);
  const reach = (sign, ce, se) => Math.max(...rim.map(([radius, height]) => sign * height * ce + radius * Math.abs(se))) + head * ce;
  return { centre, radius: Math.max(...rim.map(([radius]) => radius)), tall: high[1] - low[1] + 2 * head, reach };
}

function mix(colour, paper, share) { // of two colours written #rrggbb, as the style sheet's are
  const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(channel(paper, i) + share * (channel(colour, i) - channel(paper, i)))).join(" ")})`;
}

function startPlayer(section) {
  const data = JSON.parse(section.querySelector("script").textContent);
  const joints = data.joints, flat = data.channels === 2;
  for (const clip of data.clips) {
    clip.world = decode(clip, joints, data.channels);
    clip.path = rootPath(clip.world, clip.frames, joints, data.root);
  }
  const head = HEAD * data.stature;
  const stages = { true: fit(data.clips, joints, true, head), false: fit(data.clips, joints, false, head) };
  const frames = Math.max(...data.clips.map((clip) => clip.frames));
  const cells = [...section.querySelectorAll("canvas")].map((canvas) => ({ canvas, clip: data.clips[canvas.dataset.clip], visible: true }));
  const find = (name) => section.querySelector(`[data-${name}]`);
  const play = find("play"), time = find("time"), speed = find("speed"), follow = find("follow"), now = find("now");
  const home = flat ? { azimuth: 0, elevation: 0 } : data.camera;
  const camera = { ...home };
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches, clock = 0, last = null, shown = "", colours = {};
  time.max = frames - 1;

  function readColours() {
    const style = getComputedStyle(section);
    for (const name of ["left", "right", "middle", "floor", "shadow", "real", "generated"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
    shown = "";
  }

  function draw(cell, frame) {
    const { canvas, clip } = cell, stage = stages[follow.checked], context = canvas.getContext("2d");
    const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    if (canvas.width !== Math.round(w * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const paper = colours[clip.source];
    context.fillStyle = paper;
    context.fillRect(0, 0, w, h);
    const a = camera.azimuth * Math.PI / 180, e = camera.elevation * Math.PI / 180;
    const [ca, sa, ce, se] = [Math.cos(a), Math.sin(a), Math.cos(e), Math.sin(e)];
    const above = stage.reach(1, ce, se), below = stage.reach(-1, ce, se);
    const eye = flat ? Infinity : 6 * Math.max(Math.hypot(stage.radius, stage.tall / 2), data.stature / 2);
    const scale = Math.min((0.94 * w) / (2 * stage.radius), (0.92 * h) / (above + below));
    const middle = h / 2 + (scale * (above - below)) / 2;
    const f = Math.min(frame, clip.frames - 1);
    const ox = stage.centre[0] + (follow.checked ? clip.path[2 * f] : 0), oz = stage.centre[2] + (follow.checked ? clip.path[2 * f + 1] : 0);
    const oy = stage.centre[1];
    const project = (x, y, z) => {
      x -= ox; y -= oy; z -= oz;
      const near = sa * ce * x + se * y + ca * ce * z, s = scale / Math.max(1 - near / eye, 0.05);
      return [w / 2 + s * (ca * x - sa * z), middle - s * (-sa * se * x + ce * y - ca * se * z), near];
    };
    const line = (p, q, colour, width) => {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(p[0], p[1]);
      context.lineTo(q[0], q[1]);
      context.stroke();
    };

    context.lineCap = "round";
    const floor = data.floor;
    if (flat) {
      line([0, project(0, floor, 0)[1]], [w, project(0, floor, 0)[1]], colours.shadow, 1);
    } else {
      const square = data.square, reach = stage.radius + 0.4 * data.stature;
      for (let i = Math.floor((ox - reach) / square); i < (ox + reach) / square; i++)
        for (let k = Math.floor((oz - reach) / square); k < (oz + reach) / square; k++) {
          const away = Math.hypot((i + 0.5) * square - ox, (k + 0.5) * square - oz) / reach;
          if (away > 1) continue;
          context.globalAlpha = Math.min(1, 2.2 * (1 - away)) * ((i + k) % 2 ? 0.45 : 1);
          context.fillStyle = colours.floor;
          context.beginPath();
          for (const [x, z] of [[i, k], [i + 1, k], [i + 1, k + 1], [i, k + 1]]) context.lineTo(...project(x * square, floor, z * square).slice(0, 2));
          context.fill();
        }
      context.globalAlpha = 1;
    }

    const at = (j) => 3 * (f * joints + j), world = clip.world;
    const points = Array.from({ length: joints }, (_, j) => project(world[at(j)], world[at(j) + 1], world[at(j) + 2]));
    const thick = Math.max(BONE * data.stature * scale, 2);
    if (!flat) {
      context.strokeStyle = colours.shadow;
      context.lineWidth = thick;
      context.beginPath(); // one path, so that crossing shadows do not add up
      for (const [p, q] of data.bones) {
        context.moveTo(...project(world[at(p)], floor, world[at(p) + 2]).slice(0, 2));
        context.lineTo(...project(world[at(q)], floor, world[at(q) + 2]).slice(0, 2));
      }
      context.stroke();
    }
    const nearest = Math.max(...points.map((p) => p[2])), span = Math.max(nearest - Math.min(...points.map((p) => p[2])), 0.25 * data.stature);
    const things = data.bones.map(([p, q, side]) => ({ p, q, side, far: (nearest - (points[p][2] + points[q][2]) / 2) / span }));
    if (data.head !== null) things.push({ p: data.head, q: data.head, side: "middle", far: (nearest - points[data.head][2]) / span - 0.01 });
    things.sort((one, other) => other.far - one.far);
    for (const { p, q, side, far } of things) {
      const [x0, y0] = points[p], [x1, y1] = points[q];
      const disc = (r) => { context.beginPath(); context.arc(x0, y0, r, 0, 2 * Math.PI); context.fill(); };
      if (p === q) {
        context.fillStyle = paper;
        disc(head * scale + thick * 0.35);
        context.fillStyle = colours[side];
        disc(head * scale);
        continue;
      }
      context.lineCap = "butt"; // the halo shows which of two crossing limbs is in front
      line([x0 + 0.2 * (x1 - x0), y0 + 0.2 * (y1 - y0)], [x1 + 0.2 * (x0 - x1), y1 + 0.2 * (y0 - y1)], paper, thick * 1.7);
      context.lineCap = "round";
      line(points[p], points[q], mix(colours[side], paper, 1 - 0.42 * Math.min(far, 1)), thick);
    }
  }

  function tick(stamp) {
    if (playing && last !== null) clock += Math.min(stamp - last, 250) / 1000 * Number(speed.value);
    last = stamp;
    const frame = Math.floor(clock * data.fps + 1e-6) % frames;
    const state = [frame, camera.azimuth, camera.elevation, follow.checked, innerWidth, devicePixelRatio, cells.map((c) => +c.visible).join("")].join();
    if (state !== shown) {
      shown = state;
      time.value = frame;
      now.textContent = `${(frame / data.fps).toFixed(2)} s`;
      for (const cell of cells) if (cell.visible) draw(cell, frame);
    }
    requestAnimationFrame(tick);
  }

  function setPlaying(on) {
    playing = on;
    play.textContent = on ? "Pause" : "Play";
  }
  const turn = (dx, dy) => {
    if (flat) return;
    camera.azimuth -= dx;
    camera.elevation = Math.min(89, Math.max(-10, camera.elevation + dy));
  };

  play.addEventListener("click", () => setPlaying(!playing));
  time.addEventListener("input", () => { setPlaying(false); clock = Number(time.value) / data.fps; });
  find("reset").addEventListener("click", () => Object.assign(camera, home));
  for (const { canvas } of cells) {
    let from = null;
    canvas.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      turn((event.clientX - from[0]) * 0.6, (event.clientY - from[1]) * 0.4);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
  }
  find("cards").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [8, 0], ArrowRight: [-8, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
    if (step) turn(...step);
    else if (event.key === " ") setPlaying(!playing);
    else return;
    event.preventDefault();
  });
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) cells.find((cell) => cell.canvas === entry.target).visible = entry.isIntersecting;
  }, { rootMargin: "100px" });
  for (const { canvas } of cells) watcher.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
  addEventListener("beforeprint", () => cells.forEach((cell) => draw(cell, Number(time.value))));
  setPlaying(playing);
  readColours();
  requestAnimationFrame(tick);
}

document.querySelectorAll("[data-player]").forEach(startPlayer);
