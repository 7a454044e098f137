"use strict";

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

// Every line of every bank plays all the time, started together on one clock; what is heard is only a matter of gains.
class Engine {
  constructor(result) {
    this.lines = result.banks.flatMap((bank) => bank.lines.map((line) => ({...line, bank: bank.id})));
    this.rate = result.rate;
    this.duration = result.seconds;
    this.loop = null;
    this.offset = 0;
    this.startedAt = null;
    this.wanted = this.lines.map(() => 0);
  }

  get playing() { return this.startedAt !== null; }

  // Browsers let sound begin only within a gesture, so this runs on the first play.
  open() {
    const Context = window.AudioContext || window.webkitAudioContext;
    try {
      this.context = new Context({sampleRate: this.rate});
    } catch (problem) {
      this.context = new Context();
    }
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 2048;
    this.analyser.connect(this.context.destination);
    this.gains = this.lines.map((line, i) => {
      const gain = this.context.createGain();
      gain.gain.value = this.wanted[i];
      gain.connect(this.analyser);
      return gain;
    });
  }

  // Decode everything once. The text is dropped as it is read: the samples take its place in memory.
  async load(onLine) {
    this.buffers = [];
    for (let i = 0; i < this.lines.length; i++) {
      onLine(i, this.lines.length);
      const element = document.getElementById(`line-${i}`);
      this.buffers.push(await this.context.decodeAudioData(bytesOf(element.textContent).buffer));
      element.remove();
    }
  }

  get position() {
    if (!this.playing) return this.offset;
    const heard = Math.max(0, this.context.currentTime - this.startedAt);
    const at = this.offset + heard;
    if (!this.loop || at < this.loop[1]) return Math.min(at, this.duration);
    const [from, to] = this.loop;
    return from + (at - from) % (to - from);
  }

  play() {
    this.silence();
    if (this.loop && (this.offset < this.loop[0] || this.offset >= this.loop[1])) this.offset = this.loop[0];
    const when = this.context.currentTime + 0.03;
    this.nodes = this.buffers.map((buffer, i) => {
      const node = this.context.createBufferSource();
      node.buffer = buffer;
      if (this.loop) [node.loop, node.loopStart, node.loopEnd] = [true, ...this.loop];
      node.connect(this.gains[i]);
      node.start(when, this.offset);
      return node;
    });
    this.startedAt = when;
  }

  silence() {
    for (const node of this.nodes || []) {
      node.stop();
      node.disconnect();
    }
    this.nodes = [];
  }

  pause() {
    this.offset = this.position;
    this.startedAt = null;
    this.silence();
  }

  seek(seconds) {
    const at = Math.min(Math.max(seconds, 0), this.duration);
    const playing = this.playing;
    if (playing) this.pause();
    this.offset = at;
    if (playing) this.play();
  }

  setLoop(region) {
    const at = this.position;
    this.loop = region;
    if (this.playing) this.seek(at);
  }

  setGain(i, value) {
    this.wanted[i] = value;
    if (this.gains) this.gains[i].gain.setTargetAtTime(value, this.context.currentTime, 0.008);
  }

  // Loudest sample of the last moment.
  level() {
    if (!this.playing) return 0;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }
}
