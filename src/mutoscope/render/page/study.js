"use strict";
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const find = (id) => document.getElementById(id);
  // every person sees the pairs in another order, so that tiredness hits none of them alone
  const order = study.pairs.map((_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const person = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
  const answers = [];
  let shown = 0;

  function show() {
    const done = answers.length === order.length;
    find("progress").textContent = done ? "That was all, thank you." : `Pair ${answers.length + 1} of ${order.length}`;
    find("pair").hidden = done;
    find("end").hidden = !done;
    if (done) return;
    const pair = study.pairs[order[answers.length]];
    for (const side of ["left", "right"]) {
      find(side).src = `data:video/mp4;base64,${pair[side]}`;
      find(side).currentTime = 0;
      find(side).play().catch(() => {});
    }
    shown = performance.now();
  }

  function choose(side) {
    if (answers.length === order.length) return;
    answers.push({ pair: order[answers.length], choice: side, seconds: Math.round(performance.now() - shown) / 1000 });
    show();
  }

  for (const button of document.querySelectorAll("button[data-side]")) {
    button.addEventListener("click", () => choose(button.dataset.side));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") choose("left");
    if (event.key === "ArrowRight") choose("right");
  });
  find("save").addEventListener("click", () => {
    const blob = new Blob([JSON.stringify({ study: study.id, person, answers })], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `answers_${person}.json`;
    link.click();
  });
  show();
})();
