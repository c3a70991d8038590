/* Boxes of an image: which are shown, in which color, and drawn on a canvas or as elements. */
'use strict';

const Draw = {
  /** Which layers are on: truth, r0, r1, ..., and kinds that are off, from the address. */
  layers() {
    const state = Report.state();
    const off = new Set(state.has('off') ? state.get('off').split(',') : Report.data.report.off || []);
    const kinds = new Set((state.get('kinds') || '').split(',').filter((key) => key && key !== '-'));
    return {
      shown: (key) => !off.has(key),
      off,
      kinds,
      byKind: state.has('by') ? state.get('by') === 'kind' : Report.data.report.results.length === 1,
      score: Report.threshold(),
    };
  },

  toggle(set, key, on) {
    const copy = new Set(set);
    if (on) copy.delete(key);
    else copy.add(key);
    copy.delete('-');
    return [...copy].join(',') || '-'; // not empty: that is what the report begins with
  },

  kind(of, code) {
    return Report.data.report.kinds[of].find((kind) => kind.code === code);
  },

  /** The boxes to be drawn, in order: {of, label, kind, score, x, y, w, h, about}. */
  boxes(image, layers) {
    const report = Report.data.report;
    if (!report.kinds) return [];
    const names = report.boxNames || Report.data.images.classes.names;
    const list = [];
    const results = report.results.length;
    const own = 6 + results;
    if (layers.shown('truth')) {
      for (let i = 0; i < image.truth.length; i += own) {
        const [label, marks, x, y, w, h, ...states] = image.truth.slice(i, i + own);
        const first = states.findIndex((_, r) => layers.shown(`r${r}`));
        const state = Draw.kind('truth', states[Math.max(0, first)]);
        if (layers.kinds.size && !layers.kinds.has(state.key)) continue;
        list.push({ of: 'truth', label: names[label], marks, state, row: i / own, x: x / 10, y: y / 10, w: w / 10, h: h / 10 });
      }
    }
    for (let r = results - 1; r >= 0; r--) {
      if (!layers.shown(`r${r}`)) continue;
      const rows = image.results[r];
      for (let i = rows.length - 8; i >= 0; i -= 8) {
        const score = rows[i + 1];
        if (score < layers.score * 100 && !report.unscored) continue;
        const kind = Draw.kind('prediction', rows[i + 2]);
        if (layers.kinds.size && !layers.kinds.has(kind.key)) continue;
        list.push({
          of: r, label: names[rows[i]], score: score / 10000, kind, about: rows[i + 3], row: i / 8,
          x: rows[i + 4] / 10, y: rows[i + 5] / 10, w: rows[i + 6] / 10, h: rows[i + 7] / 10,
        });
      }
    }
    return list;
  },

  /** The color of a box on a picture. */
  color(box, layers) {
    if (box.of === 'truth') return box.marks & 1 ? '#a8a8a8' : '#ffffff';
    if (!layers.byKind) return Draw.results[box.of % Draw.results.length];
    return Draw.kinds[box.kind.key] || '#ffffff';
  },

  results: ['#56b4e9', '#e69f00', '#2fc79a', '#e08fc0'],
  kinds: {
    right: '#2fc79a', off: '#a8a8a8', cls: '#c77dff', loc: '#e69f00', both: '#ff7a33', dupe: '#f0e442', bkg: '#56b4e9',
    alarm: '#ff7a33', hit: '#2fc79a',
  },

  /** Lines of a box, so that color is not all: the truth is dashed, what is missed dotted; of errors two that look
      alike to some eyes have dashes too. */
  dash(box, layers) {
    if (box.of === 'truth') return box.state.key === 'miss' ? [2, 3] : [7, 4];
    return layers.byKind ? { cls: [9, 3, 2, 3], both: [5, 3] }[box.kind.key] || [] : [];
  },

  /** How thick a line is: errors stand out where boxes have the color of their kind. */
  width(box, layers) {
    return box.of !== 'truth' && layers.byKind && box.kind.code > 1 ? 2.6 : 1.5;
  },

  /** Draw on a canvas over a small picture. */
  onCanvas(canvas, image, layers) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext('2d');
    const scale = canvas.width / image.size[0];
    const boxes = Draw.boxes(image, layers);
    for (const box of boxes) {
      const sides = [box.x * scale, box.y * scale, box.w * scale, box.h * scale];
      context.setLineDash([]);
      context.strokeStyle = 'rgb(0 0 0 / 55%)';
      context.lineWidth = (Draw.width(box, layers) + 1.5) * ratio;
      context.strokeRect(...sides);
      context.setLineDash(Draw.dash(box, layers).map((part) => part * ratio * 0.7));
      context.strokeStyle = Draw.color(box, layers);
      context.lineWidth = Draw.width(box, layers) * ratio;
      context.strokeRect(...sides);
    }
    return boxes;
  },

  /** How many boxes are shown, in words. */
  counted(predicted, truth) {
    const [of, all] = Report.data.report.boxWords || ['predicted boxes', 'true boxes'];
    return `${of}: ${predicted}, ${all}: ${truth}`;
  },

  /** What a box is, in words. */
  words(box) {
    if (box.of === 'truth') {
      const marks = ['not counted', 'occluded', 'truncated'].filter((_, bit) => box.marks & (1 << bit));
      return `truth: ${[box.label, ...marks].join(', ')}; ${box.state.name.toLowerCase()}`;
    }
    if (Report.data.report.unscored) return `${Report.data.report.results[box.of]}: ${box.label}`;
    const score = ` ${box.score.toFixed(2)}`;
    return `${Report.data.report.results[box.of]}: ${box.label}${score}; ${box.kind.name.toLowerCase()}`;
  },
};
