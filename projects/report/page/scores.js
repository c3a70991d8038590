/* The first part: the headline and the table of scores. */
'use strict';

const Scores = {
  text: (value) => number(value, Report.data.report.digits || 1),
  signed: (value) => signed(value, Report.data.report.digits || 1),

  show(main) {
    const report = Report.data.report;
    main.append(Scores.headline(report), Scores.table(report));
    if (report.notes.length) {
      main.append(el('section.card', {}, el('h2', {}, 'Notes on the data'), el('ul', {}, ...report.notes.map((note) => el('li', {}, note)))));
    }
  },

  /** Cards of the overall numbers with their ranges. */
  headline(report) {
    const cards = report.headline.map((item) => el('div.number', { title: item.help }, el('h3', {}, item.key),
      ...item.values.map((value, i) => el('div.result', {}, report.results.length > 1 ? mark(i) : null,
        el('strong', {}, Scores.text(value)),
        item.intervals && item.intervals[i] && item.intervals[i][0] !== null
          ? el('span.range', {}, `${Scores.text(item.intervals[i][0])} to ${Scores.text(item.intervals[i][1])}`) : null,
        i && value !== null && item.values[0] !== null ? Scores.difference(item, i) : null)),
      el('p.what', {}, item.help)));
    return el('section.headline', { 'aria-label': 'Overall' }, ...cards);
  },

  difference(item, i) {
    const value = item.values[i] - item.values[0];
    const range = item.differences && item.differences[i];
    const sure = range && range[0] !== null && (range[0] > 0 || range[1] < 0);
    const text = range && range[0] !== null ? `${Scores.signed(range[0])} to ${Scores.signed(range[1])}` : '';
    return el('span.difference', {}, el(`b.${Scores.tone(item, value)}`, {}, Scores.signed(value)),
      ` vs ${String.fromCharCode(65)}${text ? ` (${text}${sure ? '' : ', not clear'})` : ''}`);
  },

  tone(metric, value) {
    if (Math.abs(value) < 0.5 * 10 ** -(Report.data.report.digits || 1)) return 'same';
    return value > 0 !== (metric.low === true) ? 'better' : 'worse';
  },

  table(report) {
    const { metrics, groups, counts } = report.scores;
    const several = report.results.length > 1;
    const card = el('section.card', { id: 'scores' }, el('h2', {}, 'Scores'));
    const place = el('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Table of scores' });
    const shown = () => Math.min(metrics.length - 1, Math.max(0, metrics.findIndex((m) => m.key === Report.state().get('metric'))));
    const draw = () => place.replaceChildren(several ? Scores.compared(report, groups, counts, metrics, shown()) : Scores.single(report, groups, counts, metrics));
    if (several) {
      card.append(el('div.fields', {}, choice('Score', metrics.map((m) => [m.key, `${m.key}: ${m.help}`]), metrics[shown()].key, (value) => {
        Report.note({ metric: value });
        draw();
      }, { id: 'metric' })));
    }
    draw();
    card.append(place, el('p.help', {}, report.scores.help || ''));
    return card;
  },

  head(counts, columns) {
    return el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, ''), ...counts.map((name) => el('th.n', { scope: 'col' }, name)), ...columns));
  },

  /** Rows by group; `cells` makes what follows the counts. */
  body(groups, counts, cells, width) {
    return groups.filter((group) => group.rows.length).map((group) => el('tbody', { 'data-group': group.key },
      group.rows.length > 1 || group.title !== 'Overall'
        ? el('tr.group', {}, el('th', { colspan: 1 + counts.length + width, scope: 'rowgroup' }, group.title)) : null,
      ...group.rows.map((row) => el('tr', {}, el('th', { scope: 'row' }, row.image ? el('a', { href: Report.link({ tab: 'images', image: row.image }) }, row.name) : row.name),
        ...row.counts.map((value) => el('td.n.count', {}, number(value, 0))), ...cells(row)))));
  },

  single(report, groups, counts, metrics) {
    return el('table', {}, Scores.head(counts, metrics.map((m) => el('th.n', { scope: 'col', title: m.help }, m.key))),
      ...Scores.body(groups, counts, (row) => row.values[0].map((value, i) => el('td.n', {}, i ? null : Scores.bar(value), Scores.text(value))), metrics.length));
  },

  compared(report, groups, counts, metrics, i) {
    const titles = report.results.flatMap((name, r) => [
      el('th.n', { scope: 'col', title: name }, mark(r), ` ${name}`),
      r ? el('th.n', { scope: 'col' }, `${String.fromCharCode(65 + r)} − A`) : null,
    ]);
    return el('table', {}, Scores.head(counts, titles), ...Scores.body(groups, counts, (row) => row.values.flatMap((values, r) => {
      const value = values[i];
      const cell = el('td.n', {}, Scores.text(value));
      if (!r) return [cell];
      const rise = value === null || row.values[0][i] === null ? null : value - row.values[0][i];
      return [cell, rise === null ? el('td.n', {}, '–') : el('td.n.rise', {}, Scores.lever(metrics[i], rise), el(`b.${Scores.tone(metrics[i], rise)}`, {}, Scores.signed(rise)))];
    }), report.results.length * 2 - 1));
  },

  bar(value) {
    return value === null ? null : el('span.meter', { 'aria-hidden': 'true' }, el('span', { style: `width: ${Math.max(0, Math.min(100, value))}%` }));
  },

  /** A bar to the right for a rise, to the left for a fall; full at 20 points. */
  lever(metric, rise) {
    const size = Math.min(50, Math.abs(rise) * 2.5);
    return el('span.lever', { 'aria-hidden': 'true' },
      el(`span.${Scores.tone(metric, rise)}`, { style: `width: ${size}%; ${rise < 0 ? 'right' : 'left'}: 50%` }));
  },
};
