/* What errors cost, and which classes are taken for which. */
'use strict';

const Errors = {
  show(main) {
    const { errors, lists } = Report.data.report;
    if (errors) main.append(Errors.costs(errors), Errors.table(errors));
    for (const list of lists || []) main.append(Errors.list(list));
  },

  /** A bar for each kind and result. */
  costs(errors) {
    const { results } = Report.data.report;
    const top = Math.max(1, ...[...errors.kinds, ...errors.special].flatMap((kind) => kind.cost));
    const row = (kind, link) => el('li', {}, el('span.kind', { title: kind.help || '' }, kind.name, kind.help ? el('small', {}, kind.help) : null),
      el('div.bars', {}, ...kind.cost.map((cost, r) => el(link ? 'a.bar-row' : 'div.bar-row', {
        href: link ? Report.link({ tab: 'images', kind: `${r}:${kind.key}`, class: null, cell: null, page: null, sort: null, image: null }) : null,
        'data-kind': kind.key,
      }, results.length > 1 ? mark(r) : null, el('span.track', {}, el('span', { style: `width: ${(100 * cost) / top}%; --own: var(--result-${r % 4})` })),
      el('b', {}, number(cost, 2)), kind.number ? el('small', {}, ` ${number(kind.number[r], 0)} boxes`) : null))));
    return el('section.card', {}, el('h2', {}, `What errors cost, in points of ${errors.unit}`),
      el('ul.costs', {}, ...errors.kinds.map((kind) => row(kind, true)), ...errors.special.map((kind) => row(kind, false))),
      el('p.help', {}, errors.help, ' A kind opens its pictures.'));
  },

  /** Classes against kinds. */
  table(errors) {
    const { results } = Report.data.report;
    const state = Report.state();
    let what = state.get('errors') === 'number' ? 'number' : 'cost';
    let r = Math.min(results.length - 1, Number(state.get('of') || 0));
    const place = el('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Errors by class' });
    const draw = () => {
      const values = errors.kinds.map((kind) => kind.by_class[r][what]);
      const top = Math.max(1e-9, ...values.flat().filter((v) => v !== null));
      place.replaceChildren(el('table.heat', {}, el('thead', {}, el('tr', {}, el('th', {}), ...errors.kinds.map((kind) => el('th.n', { scope: 'col', title: kind.help }, kind.name)))),
        el('tbody', {}, ...errors.classes.map((name, k) => el('tr', {}, el('th', { scope: 'row' }, name), ...errors.kinds.map((kind, i) => {
          const value = values[i][k];
          return el('td.n', { style: `--share: ${Math.max(0, value || 0) / top}` }, el('a', {
            href: Report.link({ tab: 'images', kind: `${r}:${kind.key}`, class: name, cell: null, page: null, image: null }),
          }, number(value, what === 'cost' ? 2 : 0)));
        }))))));
    };
    const fields = el('div.fields', {},
      choice('Show', [['cost', `points of ${errors.unit} of the class`], ['number', 'number of boxes']], what, (value) => { what = value; Report.note({ errors: what === 'cost' ? null : what }); draw(); }),
      results.length > 1 ? choice('Result', results.map((name, i) => [i, name]), r, (value) => { r = Number(value); Report.note({ of: r || null }); draw(); }) : null);
    draw();
    return el('section.card', {}, el('h2', {}, 'Errors by class'), fields, place,
      el('p.help', {}, 'The class is that of the prediction; of missed boxes that of the object.'));
  },

  /** A list of the worst places, each a link to its image. */
  list(list) {
    const { names } = Report.data.images;
    return el('section.card', { 'data-list': list.key }, el('h2', {}, list.title), list.rows.length
      ? el('div.scroll', { tabindex: 0, role: 'region', 'aria-label': list.title }, el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'image'), ...list.columns.map((name) => el('th.n', { scope: 'col' }, name)))),
        el('tbody', {}, ...list.rows.map(([image, box, ...values]) => el('tr', {}, el('th', { scope: 'row' }, el('a', {
          href: Report.link({ tab: 'images', image: names[image], box: box.join(','), kind: null, cell: null, class: null }),
        }, names[image])), ...values.map((value) => el('td.n', {}, typeof value === 'number' ? number(value, Number.isInteger(value) ? 0 : 2) : value === null ? '–' : value))))))) : el('p', {}, 'There are none.'),
      el('p.help', {}, list.help));
  },
};

const Confusion = {
  show(main) {
    const { confusion, results } = Report.data.report;
    const place = el('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Confusion matrix' });
    const chosen = () => Math.min(results.length - 1, Number(Report.state().get('of') || 0));
    const share = () => Report.state().get('counts') !== 'number';
    const draw = () => place.replaceChildren(Confusion.table(confusion, chosen(), share()));
    const change = (key, plain) => (value) => {
      Report.note({ [key]: value === plain ? null : value });
      draw();
    };
    const fields = el('div.fields', {},
      results.length > 1 ? choice('Result', results.map((name, i) => [i, name]), chosen(), change('of', '0'), { id: 'confusion-of' }) : null,
      choice('Cells show', [['share', 'share of the row in percent'], ['number', `numbers of ${confusion.what}`]], share() ? 'share' : 'number', change('counts', 'share'), { id: 'confusion-counts' }),
      Filters.slider(draw));
    draw();
    main.append(el('section.card', {}, el('h2', {}, 'Confusion'), fields, place, el('p.help', {}, confusion.help, ' A cell opens its pictures.')));
  },

  /** The matrix at the threshold. */
  counts(confusion, r) {
    const size = confusion.classes.length;
    const threshold = Report.threshold();
    const matrix = Array.from({ length: size }, () => new Array(size).fill(0));
    for (const [i, j, levels] of confusion.cells[r]) {
      if (!confusion.levels) matrix[i][j] = levels[0];
      else if (j === size - 1) matrix[i][j] = levels.slice(0, threshold + 1).reduce((a, b) => a + b, 0);
      else matrix[i][j] = levels.slice(threshold).reduce((a, b) => a + b, 0);
    }
    return matrix;
  },

  /** The classes that have a row: all, or of many those with most in their row, and what is none of them. */
  shown(matrix) {
    const none = matrix.length - 1;
    const total = matrix.map((row) => row.reduce((a, b) => a + b, 0));
    const most = total.slice(0, none).map((_, i) => i).sort((a, b) => total[b] - total[a]).slice(0, Confusion.most);
    return [...most.sort((a, b) => a - b), none];
  },

  most: 60,

  table(confusion, r, share) {
    const matrix = Confusion.counts(confusion, r);
    const { classes } = confusion;
    const shown = Confusion.shown(matrix);
    const table = el('table.heat.matrix', { id: 'matrix' }, el('caption', {}, `Rows: truth. Columns: prediction.${classes.length > shown.length ? ` The ${shown.length - 1} classes with most.` : ''}`),
      el('thead', {}, el('tr', {}, el('th', {}), ...shown.map((j) => el('th.n.tilt', { scope: 'col' }, el('span', {}, classes[j]))))));
    const body = el('tbody');
    shown.forEach((i) => {
      const row = matrix[i];
      const total = row.reduce((a, b) => a + b, 0);
      body.append(el('tr', {}, el('th', { scope: 'row' }, classes[i]), ...shown.map((j) => {
        const value = row[j];
        const part = total ? value / total : 0;
        const title = `${classes[i]} taken for ${classes[j]}: ${number(value, 0)} ${confusion.what} (${number(100 * part)} % of the row)`;
        const cell = el(`td.n${i === j ? '.diagonal' : ''}`, { style: `--share: ${part.toFixed(4)}` });
        if (value) {
          cell.append(el('a', {
            href: Report.link({ tab: 'images', cell: `${r}:${i}/${j}`, kind: null, class: null, page: null, image: null }),
            title, 'aria-label': title,
          }, share ? (part < 0.0005 ? '<0.1' : number(100 * part)) : Chart.short(value)));
        }
        return cell;
      })));
    });
    table.append(body);
    return table;
  },
};
