/* Charts that answer to the pointer and to the arrow keys. */
'use strict';

const Chart = {
  height: 300,
  margin: { top: 12, right: 14, bottom: 40, left: 52 },

  /** A chart with its choices; redrawn where its width changes. */
  card(data) {
    const state = Report.state();
    const chosen = data.choices.map((c, i) => Number(state.get(`${data.key}.${i}`) ?? c.first ?? 0));
    const plot = el('div.plot', { tabindex: 0, role: 'img', 'aria-label': `${data.title}: ${data.y} over ${data.x}` });
    const notes = el('ul.notes');
    const choices = data.choices.map((c, i) =>
      choice(c.title, c.options.map((text, k) => [k, text]), chosen[i], (value) => {
        chosen[i] = Number(value);
        Report.note({ [`${data.key}.${i}`]: value });
        draw();
      }, { id: `${data.key}-${i}` }));
    const draw = () => Chart.draw(plot, notes, data, data.series[chosen.join(',')] || data.series[''] || []);
    new ResizeObserver(draw).observe(plot);
    return el('section.card.chart', { id: `chart-${data.key}` }, el('h2', {}, data.title),
      choices.length ? el('div.fields', {}, ...choices) : null, plot, notes, el('p.help', {}, data.help || ''));
  },

  /** Ends of an axis: 0 to 1 where all values lie there. */
  range(values, whole) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (!Number.isFinite(low)) return [0, 1];
    if (whole !== false && low >= 0 && high <= 1.0001) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  },

  ticks([low, high], number = 5) {
    const step = 10 ** Math.floor(Math.log10((high - low) / number));
    const size = step * [1, 2, 5, 10].find((k) => (high - low) / (step * k) <= number);
    const found = [];
    for (let value = Math.ceil(low / size - 1e-9) * size; value <= high + size * 1e-9; value += size) found.push(value);
    return found;
  },

  short(value) {
    if (Math.abs(value) >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    if (Math.abs(value) >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
    return String(+value.toPrecision(3));
  },

  draw(plot, notes, data, series) {
    const width = Math.max(220, plot.clientWidth);
    const { top, right, bottom, left } = Chart.margin;
    const inner = { w: width - left - right, h: Chart.height - top - bottom };
    const log = data.scale === 'log';
    const xs = Chart.range(series.flatMap((s) => s.x), data.kind !== 'bars' || undefined);
    let ys = Chart.range(series.flatMap((s) => s.y), !log);
    if (log) ys = [0, Math.log10(1 + Math.max(1, ys[1]))];
    else if (data.kind === 'bars') ys = [0, ys[1]];
    const x = (value) => left + ((value - xs[0]) / (xs[1] - xs[0])) * inner.w;
    const y = (value) => top + inner.h - (((log ? Math.log10(1 + value) : value) - ys[0]) / (ys[1] - ys[0])) * inner.h;
    const svg = el('svg', { width, height: Chart.height, viewBox: `0 0 ${width} ${Chart.height}`, 'aria-hidden': 'true' });
    const yTicks = log
      ? Array.from({ length: Math.floor(ys[1]) + 1 }, (_, k) => (k ? 10 ** k : 0))
      : Chart.ticks(ys);
    for (const value of yTicks) {
      svg.append(el('line.grid', { x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        el('text.tick', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, Chart.short(value)));
    }
    for (const value of Chart.ticks(xs, Math.max(2, Math.min(6, Math.floor(inner.w / 60))))) {
      svg.append(el('line.grid', { x1: x(value), x2: x(value), y1: top, y2: top + inner.h }),
        el('text.tick', { x: x(value), y: top + inner.h + 16, 'text-anchor': 'middle' }, Chart.short(value)));
    }
    svg.append(el('text.axis', { x: left + inner.w / 2, y: Chart.height - 6, 'text-anchor': 'middle' }, data.x),
      el('text.axis', { x: 0, y: 0, transform: `translate(12 ${top + inner.h / 2}) rotate(-90)`, 'text-anchor': 'middle' }, data.y));
    if (data.diagonal) svg.append(el('line.diagonal', { x1: x(xs[0]), y1: y(xs[0]), x2: x(xs[1]), y2: y(xs[1]) }));
    for (const [index, line] of series.entries()) svg.append(...Chart.shapes(data, line, index, series.length, x, y, top + inner.h));
    const cross = el('line.cross', { y1: top, y2: top + inner.h, visibility: 'hidden' });
    svg.append(cross);
    plot.replaceChildren(svg);
    const several = series.length > 1;
    notes.replaceChildren(...series.map((line) =>
      el('li', {}, several || line.name ? mark(line.of) : null, ` ${Chart.name(line)}${line.note ? `: ${line.note}` : ''}`)));
    Chart.answer(plot, cross, data, series, x, xs);
  },

  name(line) {
    return line.name || Report.data.report.results[line.of];
  },

  shapes(data, line, index, total, x, y, floor) {
    const color = `var(--result-${line.of % 4})`;
    const style = `--own: ${color}`;
    if (data.kind === 'bars') {
      return line.y.flatMap((value, i) => {
        const from = x(line.x[i]);
        const size = (x(line.x[i + 1]) - from) / total;
        const at = from + index * size;
        const bar = (v, kind) => el(`rect.bar.${kind}`, { x: at, width: Math.max(0.5, size - 0.6), y: y(v), height: floor - y(v), style });
        return line.part ? [bar(value, 'whole'), bar(line.part[i], 'part')] : [bar(value, 'part')];
      });
    }
    const parts = [];
    let path = '';
    let pen = false;
    line.y.forEach((value, i) => {
      if (value === null) {
        pen = false;
        return;
      }
      path += `${pen ? 'L' : 'M'}${x(line.x[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    parts.push(el('path.curve', { d: path, style, 'stroke-dasharray': line.dash || [null, '6 3', '2 3', '8 3 2 3'][line.of % 4] }));
    if (data.kind === 'points') line.y.forEach((value, i) => parts.push(el('circle.point', { cx: x(line.x[i]), cy: y(value), r: 4, style })));
    if (line.mark) parts.push(el('circle.best', { cx: x(line.mark[0]), cy: y(line.mark[1]), r: 5.5, style }));
    return parts;
  },

  /** Show what lies under the pointer, or under the place that the arrow keys have reached. */
  answer(plot, cross, data, series, x, xs) {
    const places = data.kind === 'bars' && series[0] ? series[0].x.slice(0, -1).map((v, i) => (v + series[0].x[i + 1]) / 2)
      : [...new Set(series.flatMap((line) => line.x))].sort((a, b) => a - b);
    let at = -1;
    const show = (place, px, py) => {
      if (place < 0 || !places.length) return;
      at = place;
      const value = places[place];
      cross.setAttribute('x1', x(value));
      cross.setAttribute('x2', x(value));
      cross.setAttribute('visibility', 'visible');
      const rows = series.map((line) => {
        let i = 0;
        if (data.kind === 'bars') i = Math.min(place, line.y.length - 1);
        else line.x.forEach((v, k) => { if (Math.abs(v - value) < Math.abs(line.x[i] - value)) i = k; });
        const more = Object.entries(line.more || {}).map(([key, values]) => `${key} ${Chart.value(values[i])}`);
        const where = data.kind === 'bars' ? `${Chart.value(line.x[i])} to ${Chart.value(line.x[i + 1])}` : Chart.value(line.x[i]);
        return el('div', {}, mark(line.of), ` ${Chart.name(line)}: ${data.x} ${where}, ${data.y} ${Chart.value(line.y[i])}`,
          more.length ? el('small', {}, ` (${more.join(', ')})`) : null);
      });
      tip(rows, px, py);
    };
    const hide = () => {
      cross.setAttribute('visibility', 'hidden');
      tip('');
    };
    plot.onpointermove = (event) => {
      const box = plot.getBoundingClientRect();
      const value = xs[0] + ((event.clientX - box.left - (x(xs[0]))) / (x(xs[1]) - x(xs[0]))) * (xs[1] - xs[0]);
      let best = 0;
      places.forEach((v, i) => { if (Math.abs(v - value) < Math.abs(places[best] - value)) best = i; });
      show(best, event.clientX, event.clientY);
    };
    plot.onpointerleave = hide;
    plot.onblur = hide;
    plot.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const place = Math.max(0, Math.min(places.length - 1, at + step));
      const box = plot.getBoundingClientRect();
      show(place, box.left + x(places[place]), box.top + 40);
    };
  },

  value(value) {
    if (value === null || value === undefined) return '–';
    return Number.isInteger(value) ? number(value, 0) : String(+value.toFixed(4));
  },
};
