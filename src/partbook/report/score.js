const RULER = 22;
const NOTES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function clock(seconds, digits = 1) {
  const tens = Math.round(seconds * 10 ** digits) / 10 ** digits;
  const minutes = Math.floor(tens / 60);
  return `${minutes}:${(tens - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

function noteOf(hz) {
  const midi = 69 + 12 * Math.log2(hz / 440);
  const nearest = Math.round(midi);
  const cents = Math.round(100 * (midi - nearest));
  return `${NOTES[((nearest % 12) + 12) % 12]}${Math.floor(nearest / 12) - 1} ${cents < 0 ? "−" : "+"}${Math.abs(cents)} ¢`;
}

// A canvas whose pixels are those of the screen.
function fitted(canvas) {
  const scale = window.devicePixelRatio || 1;
  const {width, height} = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return {context, width, height};
}

// The stretch of time that all lanes show.
class View {
  constructor(seconds) {
    this.seconds = seconds;
    this.from = 0;
    this.span = seconds;
  }

  x(time, width) { return (time - this.from) / this.span * width; }
  time(x, width) { return Math.min(Math.max(this.from + x / width * this.span, 0), this.seconds); }

  show(from, span) {
    this.span = Math.min(Math.max(span, Math.min(1, this.seconds)), this.seconds);
    this.from = Math.min(Math.max(from, 0), this.seconds - this.span);
  }

  zoom(factor, around) { this.show(around - (around - this.from) / factor, this.span / factor); }
}

// The spectrogram, the F0 tracks over it, the ruler above it.
class Score {
  constructor(canvas, result, view) {
    Object.assign(this, {canvas, view, result, shown: "recording", hidden: new Set(), pictures: {}});
    this.low = Math.log2(result.axis.low_hz);
    this.octaves = Math.log2(result.axis.high_hz) - this.low;
    this.tracks = result.sources.filter((source) => source.f0).map((source) => {
      const cents = bytesOf(source.f0.cents);
      return {
        id: source.id, colour: source.colour, dash: source.dash, step: source.f0.step_s,
        cents: new Uint16Array(cents.buffer), sure: bytesOf(source.f0.confidence),
      };
    });
  }

  async load() {
    for (const [id, data] of Object.entries(this.result.pictures)) {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      this.pictures[id] = {image, tinted: null};
    }
  }

  // A picture holds strengths; paper and ink come from the theme.
  tinted(picture) {
    const theme = colourOf("--paper");
    if (picture.theme === theme) return picture.tinted;
    const {image} = picture;
    const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height);
    const [none, full] = [colourOf("--panel"), colourOf("--ink")].map(
      (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    for (let i = 0; i < pixels.data.length; i += 4) {
      const strength = 0.8 * (pixels.data[i] / 255) ** 1.7;
      for (let c = 0; c < 3; c++) pixels.data[i + c] = none[c] + strength * (full[c] - none[c]);
    }
    context.putImageData(pixels, 0, 0);
    Object.assign(picture, {theme, tinted: canvas});
    return canvas;
  }

  y(hz, height) { return height - (Math.log2(hz) - this.low) / this.octaves * (height - RULER); }
  hz(y, height) { return 2 ** (this.low + (height - y) / (height - RULER) * this.octaves); }

  draw(loop) {
    const {context, width, height} = fitted(this.canvas);
    const picture = this.pictures[this.shown] || this.pictures.recording;
    context.fillStyle = colourOf("--panel");
    context.fillRect(0, 0, width, height);
    if (picture) {
      const image = this.tinted(picture);
      const columns = image.width / this.view.seconds;
      context.imageSmoothingQuality = "high";
      context.drawImage(image, this.view.from * columns, 0, this.view.span * columns, image.height, 0, RULER, width, height - RULER);
    }
    this.drawNotes(context, width, height);
    for (const track of this.tracks) if (!this.hidden.has(track.id)) this.drawTrack(context, track, width, height);
    this.drawRuler(context, width, loop);
  }

  drawNotes(context, width, height) {
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "bottom";
    for (let octave = 0; octave < 10; octave++) {
      const hz = 440 * 2 ** ((12 * (octave + 1) - 69) / 12);
      if (hz < this.result.axis.low_hz || hz > this.result.axis.high_hz) continue;
      const y = Math.round(this.y(hz, height)) + 0.5;
      context.strokeStyle = colourOf("--soft");
      context.globalAlpha = 0.25;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
      context.globalAlpha = 1;
      this.label(context, `C${octave}`, 5, y - 1);
    }
  }

  label(context, text, x, y) {
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = colourOf("--panel");
    context.strokeText(text, x, y);
    context.lineWidth = 1;
    context.fillStyle = colourOf("--soft");
    context.fillText(text, x, y);
  }

  drawTrack(context, track, width, height) {
    const first = Math.max(0, Math.floor(this.view.from / track.step) - 1);
    const last = Math.min(track.cents.length - 1, Math.ceil((this.view.from + this.view.span) / track.step) + 1);
    const point = (i) => [this.view.x(i * track.step, width), this.y(10 * 2 ** (track.cents[i] / 1200), height)];
    context.lineCap = context.lineJoin = "round";
    for (const [colour, wide] of [[colourOf("--panel"), 4.5], [colourOf(track.colour), 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.setLineDash(track.dash && wide === 2 ? [6, 4] : []);
      for (let i = first; i <= last; i++) {
        if (!track.cents[i]) continue;
        // One stroke per run of the same confidence: opacity belongs to a whole stroke.
        const sure = Math.round(track.sure[i] / 32);
        context.globalAlpha = wide > 2 ? 0.55 : 0.45 + 0.55 * sure / 8;
        context.beginPath();
        context.moveTo(...point(i));
        while (i < last && track.cents[i + 1] && Math.abs(track.cents[i + 1] - track.cents[i]) < 400) {
          context.lineTo(...point(++i));
          if (Math.round(track.sure[i] / 32) !== sure) { i--; break; }
        }
        context.stroke();
      }
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  drawRuler(context, width, loop) {
    context.fillStyle = colourOf("--paper");
    context.fillRect(0, 0, width, RULER);
    if (loop) {
      const [from, to] = loop.map((time) => this.view.x(time, width));
      context.fillStyle = colourOf("--c4");
      context.globalAlpha = 0.3;
      context.fillRect(from, 0, to - from, RULER);
      context.globalAlpha = 1;
      context.fillRect(from - 1, 0, 2, RULER);
      context.fillRect(to - 1, 0, 2, RULER);
    }
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((seconds) => seconds / this.view.span * width > 70) || 7200;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = colourOf("--soft");
    const offset = this.result.from_s;
    for (let time = Math.ceil((this.view.from + offset) / step) * step; time <= this.view.from + this.view.span + offset; time += step) {
      const x = this.view.x(time - offset, width);
      context.fillRect(x, RULER - 5, 1, 5);
      if (x < width - 34) context.fillText(clock(time, step < 1 ? 1 : 0), x + 4, RULER / 2);
    }
  }
}

// One source's loudness over time.
function drawLane(canvas, levels, colour, view, result) {
  const {context, width, height} = fitted(canvas);
  context.clearRect(0, 0, width, height);
  context.fillStyle = colourOf("--wash");
  context.fillRect(0, height / 2 - 0.5, width, 1);
  context.fillStyle = colour;
  for (let x = 0; x < width; x++) {
    const first = Math.floor(view.time(x, width) / view.seconds * levels.length);
    const last = Math.max(first + 1, Math.floor(view.time(x + 1, width) / view.seconds * levels.length));
    const level = levels.subarray(first, last).reduce((most, value) => Math.max(most, value), 0) / 255;
    context.fillRect(x, height / 2 * (1 - level), 1, Math.max(0.5, height * level));
  }
}
