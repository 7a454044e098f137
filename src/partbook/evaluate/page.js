"use strict";
// One moment plays at a time, in a loop; all its lines run together and a button only moves the gains, so that
// switching is in time and without a gap.
let context = null;
let playing = null;

async function decoded(button) {
  const bytes = Uint8Array.from(atob(button.dataset.clip), (c) => c.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}

async function started(moment) {
  const buttons = [...moment.querySelectorAll("button[data-clip]")];
  const buffers = await Promise.all(buttons.map(decoded));
  const start = context.currentTime + 0.05;
  const lines = buffers.map((buffer) => {
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const gain = new GainNode(context, { gain: 0 });
    source.connect(gain).connect(context.destination);
    source.start(start);
    return { source, gain };
  });
  return { moment, buttons, lines };
}

function stop() {
  if (!playing) return;
  playing.lines.forEach((line) => line.source.stop());
  playing.buttons.forEach((button) => button.setAttribute("aria-pressed", "false"));
  playing = null;
}

async function press(button) {
  context = context || new AudioContext();
  await context.resume();
  const moment = button.closest(".moment");
  if (button.getAttribute("aria-pressed") === "true") return stop();
  if (!playing || playing.moment !== moment) {
    stop();
    playing = await started(moment);
  }
  playing.buttons.forEach((other, i) => {
    other.setAttribute("aria-pressed", String(other === button));
    playing.lines[i].gain.gain.setTargetAtTime(other === button ? 1 : 0, context.currentTime, 0.005);
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-clip]");
  if (button) press(button);
});
