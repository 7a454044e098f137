(function () {
  const element = (id) => document.getElementById(id);
  const result = JSON.parse(element("result").textContent);
  const engine = new Engine(result);
  const view = new View(result.seconds);
  const score = new Score(element("score"), result, view);
  const rows = [...document.querySelectorAll(".row[data-source]")].map((row) => ({
    id: row.dataset.source,
    row,
    solo: row.querySelector(".solo"),
    mute: row.querySelector(".mute"),
    volume: row.querySelector("input"),
    canvas: row.querySelector("canvas"),
    colour: row.dataset.colour,
    levels: bytesOf(result.sources.find((source) => source.id === row.dataset.source).levels),
  }));
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  let loading = null;
  let marks = [0, result.seconds];

  function say(text, problem = false) {
    element("status").textContent = text;
    element("status").classList.toggle("problem", problem);
  }

  // What is heard: the bank, the parts or the recording, solo, mute and volume of every source.
  function mix() {
    const bank = element("bank") ? element("bank").value : "main";
    const recording = pressed(element("recording"));
    const soloed = rows.some((one) => pressed(one.solo));
    const audible = (one) => (soloed ? pressed(one.solo) : !pressed(one.mute));
    const hasRaw = engine.lines.some((line) => line.bank === bank && line.kind === "raw");
    const inBank = (one) => engine.lines.some((line) => line.bank === bank && line.source === one.id);
    for (const one of rows) {
      // The recording at the main microphones is the sum of everything; at the spots, the raw spots of those chosen.
      one.row.classList.toggle("silent", !inBank(one) || (recording && !hasRaw ? false : !audible(one)));
      engine.lines.forEach((line, i) => {
        if (line.source !== one.id) return;
        const volume = 10 ** (one.volume.value / 20);
        let gain = audible(one) ? volume : 0;
        if (recording && !hasRaw) gain = 1;
        if (hasRaw && (line.kind === "raw") !== recording) gain = 0;
        engine.setGain(i, line.bank === bank ? gain : 0);
      });
    }
    const heard = rows.filter((one) => inBank(one) && audible(one));
    const alone = heard.length === 1 && !recording && score.pictures[heard[0].id] ? heard[0].id : "recording";
    if (alone !== score.shown) {
      score.shown = alone;
      draw();
    }
    const name = alone === "recording" ? "Recording" : `${result.sources.find((source) => source.id === alone).name}, alone`;
    element("shown").textContent = name;
  }

  function draw() {
    score.draw(pressed(element("loop")) ? marks : null);
    for (const one of rows) drawLane(one.canvas, one.levels, colourOf(one.colour), view, result);
    place();
  }

  // Put playhead and clock where the sound is.
  function place() {
    const at = engine.position;
    for (const time of document.querySelectorAll(".time")) {
      const x = view.x(at, time.clientWidth);
      time.querySelector(".playhead").style.transform = `translateX(${x}px)`;
    }
    const text = clock(at + result.from_s);
    if (element("position").textContent !== text) {
      element("position").textContent = text;
      element("score").setAttribute("aria-valuenow", at.toFixed(1));
      element("score").setAttribute("aria-valuetext", text);
    }
  }

  function tick() {
    if (!engine.playing) return;
    if (!engine.loop && engine.position >= engine.duration) {
      stop();
      engine.seek(0);
    }
    if (engine.position < view.from || engine.position > view.from + 0.96 * view.span) {
      const before = view.from;
      view.show(engine.position - 0.04 * view.span, view.span);
      if (view.from !== before) draw();
    }
    place();
    const level_db = 20 * Math.log10(engine.level() + 1e-6);
    element("meter").style.transform = `scaleX(${Math.max(0, 1 + level_db / 60)})`;
    requestAnimationFrame(tick);
  }

  function stop() {
    engine.pause();
    document.body.classList.remove("playing");
    element("play").setAttribute("aria-label", "Play");
    element("meter").style.transform = "scaleX(0)";
    place();
  }

  async function play() {
    if (!engine.context) engine.open();
    const resumed = engine.context.resume();
    loading = loading || engine.load((i, count) => say(`Preparing sound ${i + 1} of ${count} …`));
    try {
      await loading;
      await resumed;
    } catch (problem) {
      say(`This browser cannot play the sound in this page (${problem.message}). The files beside it hold the parts.`, true);
      return;
    }
    say("");
    engine.play();
    document.body.classList.add("playing");
    element("play").setAttribute("aria-label", "Pause");
    requestAnimationFrame(tick);
  }

  const toggle = () => (engine.playing ? stop() : play());

  function seek(seconds) {
    engine.seek(seconds);
    if (engine.position < view.from || engine.position > view.from + view.span) {
      view.show(engine.position - view.span / 2, view.span);
      draw();
    }
    place();
  }

  // A solo replaces the others; with Shift or Ctrl it is added to them.
  function solo(one, add) {
    const on = !pressed(one.solo);
    if (!add) rows.forEach((other) => press(other.solo, false));
    press(one.solo, on);
    press(element("recording"), false);
    press(element("parts"), true);
    mix();
  }

  function mute(one) {
    press(one.mute, !pressed(one.mute));
    mix();
  }

  function compare(recording) {
    press(element("recording"), recording);
    press(element("parts"), !recording);
    mix();
  }

  function setLoop(from, to) {
    marks = from < to ? [from, to] : [to, from];
    const long = marks[1] - marks[0] > 0.05;
    press(element("loop"), long);
    if (!long) marks = [0, result.seconds];
    engine.setLoop(long ? marks : null);
    draw();
  }

  function zoom(factor) {
    const at = engine.position;
    const seen = at >= view.from && at <= view.from + view.span;
    view.zoom(factor, seen ? at : view.from + view.span / 2);
    draw();
  }

  rows.forEach((one) => {
    one.solo.addEventListener("click", (event) => solo(one, event.shiftKey || event.ctrlKey || event.metaKey));
    one.mute.addEventListener("click", () => mute(one));
    one.volume.addEventListener("input", () => {
      one.volume.setAttribute("aria-valuetext", `${one.volume.value} dB`);
      one.volume.title = `${one.volume.value} dB`;
      mix();
    });
    one.volume.addEventListener("dblclick", () => {
      one.volume.value = 0;
      mix();
    });
  });
  document.querySelectorAll(".legend button").forEach((button) => button.addEventListener("click", () => {
    press(button, !pressed(button));
    score.hidden[pressed(button) ? "delete" : "add"](button.dataset.source);
    draw();
  }));
  element("play").addEventListener("click", toggle);
  element("parts").addEventListener("click", () => compare(false));
  element("recording").addEventListener("click", () => compare(true));
  element("loop").addEventListener("click", () => {
    press(element("loop"), !pressed(element("loop")));
    engine.setLoop(pressed(element("loop")) ? marks : null);
    draw();
  });
  const markFrom = () => setLoop(engine.position, marks[1] > engine.position ? marks[1] : result.seconds);
  const markTo = () => setLoop(marks[0] < engine.position ? marks[0] : 0, engine.position);
  element("from").addEventListener("click", markFrom);
  element("to").addEventListener("click", markTo);
  element("in").addEventListener("click", () => zoom(1.6));
  element("out").addEventListener("click", () => zoom(1 / 1.6));
  if (element("bank")) element("bank").addEventListener("change", mix);

  const canvas = element("score");
  let drag = null;
  const timeAt = (event) => view.time(event.clientX - canvas.getBoundingClientRect().left, canvas.clientWidth);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const onRuler = event.clientY - canvas.getBoundingClientRect().top < RULER;
    drag = onRuler ? {loop: timeAt(event)} : {seek: true};
    if (drag.seek) seek(timeAt(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const hz = score.hz(event.clientY - canvas.getBoundingClientRect().top, canvas.clientHeight);
    element("readout").textContent = `${clock(timeAt(event) + result.from_s)}\n${noteOf(hz)}\n${hz.toFixed(hz < 1000 ? 1 : 0)} Hz`;
    if (!drag) return;
    if (drag.seek) seek(timeAt(event));
    else setLoop(drag.loop, timeAt(event));
  });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { element("readout").textContent = ""; });
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey) view.zoom(Math.exp(-event.deltaY / 200), timeAt(event));
    else if (event.deltaX) view.show(view.from + event.deltaX / canvas.clientWidth * view.span, view.span);
    else return;
    event.preventDefault();
    draw();
  }, {passive: false});

  document.querySelectorAll(".row[data-source] .time").forEach((time) => time.addEventListener("pointerdown", (event) => {
    seek(view.time(event.clientX - time.getBoundingClientRect().left, time.clientWidth));
  }));

  const keys = {
    " ": toggle,
    ArrowLeft: (event) => seek(engine.position - (event.shiftKey ? 5 : 1)),
    ArrowRight: (event) => seek(engine.position + (event.shiftKey ? 5 : 1)),
    Home: () => seek(0),
    End: () => seek(result.seconds),
    l: () => element("loop").click(),
    r: () => compare(!pressed(element("recording"))),
    "[": markFrom,
    "]": markTo,
    "+": () => zoom(1.6),
    "=": () => zoom(1.6),
    "-": () => zoom(1 / 1.6),
    0: () => {
      rows.forEach((one) => [one.solo, one.mute].forEach((button) => press(button, false)));
      mix();
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    if (event.target.type === "range" && event.key !== " ") return;
    if (event.key === " " && ["BUTTON", "SUMMARY"].includes(event.target.tagName)) return;
    const digit = /^Digit([1-9])$/.exec(event.code || "");
    if (digit && rows[digit[1] - 1]) {
      event.preventDefault();
      if (event.shiftKey) mute(rows[digit[1] - 1]);
      else solo(rows[digit[1] - 1], false);
    } else if (keys[event.key]) {
      event.preventDefault();
      keys[event.key](event);
    }
  });

  new ResizeObserver(draw).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.partbook = {engine, score, view};
  mix();
  score.load().then(draw);
})();
