/* Which images are listed, and in which order. */
'use strict';

const Filters = {
  unpacked: new Map(),

  /** Images and levels of a list of data/lists.js, see postings.py. */
  unpack(text) {
    if (!Filters.unpacked.has(text)) {
      const found = new Map();
      const bytes = atob(text);
      let image = 0;
      for (let at = 0; at < bytes.length;) {
        let step = 0;
        let byte;
        let shift = 0;
        do {
          byte = bytes.charCodeAt(at++);
          step += (byte & 127) * 2 ** shift;
          shift += 7;
        } while (byte & 128);
        image += step;
        found.set(image, bytes.charCodeAt(at++));
      }
      Filters.unpacked.set(text, found);
    }
    return Filters.unpacked.get(text);
  },

  /** Whether the filters need the lists. */
  needsLists(state) {
    return state.has('cell') || state.has('kind');
  },

  /** The rows of the images that the address asks for, sorted. */
  rows(state) {
    const { images, lists, report } = Report.data;
    const total = images.names.length;
    const tests = [];
    const text = (state.get('find') || '').trim().toLowerCase();
    if (text) tests.push((row) => images.names[row].toLowerCase().includes(text));
    for (const attribute of images.attributes) {
      if (!state.has(attribute.key)) continue;
      const code = attribute.values.indexOf(state.get(attribute.key));
      tests.push((row) => attribute.codes[row] === code);
    }
    const threshold = Report.threshold();
    if (state.has('cell')) {
      const [r, cell] = state.get('cell').split(':');
      const missed = report.confusion.levels && cell.endsWith(`/${report.confusion.classes.length - 1}`);
      const found = Filters.unpack(lists[r]?.cell[cell] || '');
      tests.push(missed ? (row) => found.has(row) && found.get(row) <= threshold : (row) => found.has(row) && found.get(row) >= threshold);
    }
    const { classes } = images;
    const label = classes ? classes.names.indexOf(state.get('class')) : -1;
    if (state.has('kind')) {
      const [r, kind] = state.get('kind').split(':');
      const found = Object.entries(lists[r]?.kind || {})
        .filter(([key]) => (label < 0 ? key.startsWith(`${kind}/`) : key === `${kind}/${label}`))
        .map(([, packed]) => Filters.unpack(packed));
      tests.push((row) => found.some((part) => part.has(row) && part.get(row) >= threshold));
    } else if (state.has('class')) {
      const found = label < 0 ? new Map() : Filters.unpack(classes.images[label]);
      tests.push((row) => found.has(row));
    }
    const rows = [];
    for (let row = 0; row < total; row++) if (tests.every((test) => test(row))) rows.push(row);
    return Filters.sorted(rows, state);
  },

  /** By a column, the highest first (or as the column says), those without a value last; else by name. */
  sorted(rows, state) {
    const column = Filters.column(state);
    if (!column) return rows;
    const { values, rising } = column;
    const sign = (rising ? 1 : -1) * (state.get('order') === 'turned' ? -1 : 1);
    return rows.sort((a, b) => {
      if (values[a] === values[b]) return a - b;
      if (values[a] === null) return 1;
      if (values[b] === null) return -1;
      return sign * (values[a] - values[b]);
    });
  },

  column(state) {
    const { columns } = Report.data.images;
    const given = state.get('sort');
    if (given === 'name') return null;
    return columns[given === null ? 0 : Number(given)] || null;
  },

  /** The slider of the threshold; `change` draws what depends on it. */
  slider(change, place = 'list') {
    const { slider } = Report.data.report;
    const show = (value) => (slider.unit === '%' ? `${value} %` : (value / 100).toFixed(2));
    const out = el('output', {}, show(Report.threshold()));
    const input = el('input', {
      type: 'range', min: 0, max: 100, step: 1, value: Report.threshold(), id: `${place}-score`, 'aria-label': slider.label,
      oninput: () => {
        out.textContent = show(input.value);
        Report.note({ score: Number(input.value) === slider.first ? null : input.value });
        change();
      },
    });
    return el('label.field.slide', { title: slider.help || '' }, el('span', {}, slider.label, ' ', out), input);
  },

  /** Fields above the pictures; `change` lists them anew. */
  fields(change) {
    const { images, report } = Report.data;
    const state = Report.state();
    const set = (key) => (value) => {
      Report.note({ [key]: value, page: null });
      change();
    };
    const search = el('input', { type: 'search', id: 'find', value: state.get('find') || '', placeholder: 'part of a name', oninput: () => set('find')(search.value) });
    const sorts = [...images.columns.map((column, i) => [i, column.title]), ['name', 'Name']];
    const fields = [
      el('label.field', {}, el('span', {}, 'Find'), search),
      choice('Sort by', sorts, state.get('sort') ?? 0, set('sort'), { id: 'sort' }),
      choice('Order', [['', 'as is useful'], ['turned', 'turned around']], state.get('order') || '', set('order'), { id: 'order' }),
    ];
    if (images.classes) {
      fields.push(choice('Class', [['', 'any'], ...images.classes.names.map((name) => [name, name])], state.get('class') || '', set('class'), { id: 'class' }));
    }
    if (report.errors) {
      const options = report.results.flatMap((name, r) => report.errors.kinds.map((kind) => [`${r}:${kind.key}`, report.results.length > 1 ? `${kind.name}, ${name}` : kind.name]));
      fields.push(choice('Error', [['', 'any or none'], ...options], state.get('kind') || '', set('kind'), { id: 'kind' }));
    }
    for (const attribute of images.attributes) {
      const count = new Map();
      attribute.codes.forEach((code) => count.set(code, (count.get(code) || 0) + 1));
      fields.push(choice(attribute.title, [['', 'any'], ...attribute.values.map((name, code) => [name, `${name} (${number(count.get(code) || 0, 0)})`])],
        state.get(attribute.key) || '', set(attribute.key), { id: attribute.key }));
    }
    return fields;
  },

  /** Buttons that say which cell is shown, and end it. */
  chips(change) {
    const { report } = Report.data;
    const state = Report.state();
    if (!state.has('cell')) return [];
    const [r, cell] = state.get('cell').split(':');
    const [i, j] = cell.split('/').map((k) => report.confusion.classes[k]);
    const name = report.results.length > 1 ? `${report.results[r]}: ` : '';
    return [el('button.chip', {
      type: 'button', title: 'Show all images',
      onclick: () => {
        Report.note({ cell: null, page: null });
        change();
      },
    }, `${name}${i} taken for ${j} ×`)];
  },
};
