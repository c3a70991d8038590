/* Pictures of the images that are asked for. */
'use strict';

const Gallery = {
  size: 48,
  rows: [],

  show(main) {
    const { report } = Report.data;
    const list = el('div.gallery', { id: 'gallery' });
    const pages = el('nav.pages', { 'aria-label': 'Pages' });
    const count = el('p.count', { id: 'count', role: 'status' });
    const chips = el('div.chips');
    const update = () => Gallery.update({ list, pages, count, chips });
    const redraw = () => (Filters.needsLists(Report.state()) ? update() : Gallery.redraw(list));
    Gallery.again = update;
    main.append(el('section.card', {}, el('h2', {}, 'Images'),
      el('div.fields', { id: 'filters' }, ...Filters.fields(update)),
      el('div.fields', {}, report.kinds || report.confusion || report.heat ? Filters.slider(redraw) : null, Gallery.layers(() => Gallery.redraw(list))),
      report.swatches ? el('details', {}, el('summary', {}, 'Colors of the classes'), el('div.legend', {}, ...report.swatches.map(([name, rgb]) => el('span', {}, el('span.swatch', { style: `background: rgb(${rgb.join(' ')})` }), ` ${name}`)))) : null,
      el('div.line', {}, count, chips)), list, pages);
    return update();
  },

  /** Check boxes of the layers, and of kinds where boxes have them. */
  layers(change, place = 'list') {
    const { report } = Report.data;
    const layers = Draw.layers();
    const group = el('fieldset.layers', {}, el('legend', {}, 'Layers'));
    const box = (key, text, mine, color) => el('label.check', {}, el('input', {
      type: 'checkbox', id: `${place}-layer-${key}`, checked: layers.shown(key),
      onchange: (event) => {
        Report.note({ off: Draw.toggle(Draw.layers().off, key, event.target.checked) });
        change();
      },
    }), mine, color ? el('span.swatch', { style: `background: ${color}` }) : null, ` ${text}`);
    group.append(box('truth', 'truth', null, report.kinds ? '#fff' : null));
    report.results.forEach((name, r) => group.append(box(`r${r}`, `${report.boxLayer || ''}${name}`, report.results.length > 1 ? mark(r) : null)));
    for (const layer of report.layers || []) if (layer.own) group.append(box(layer.key, layer.title));
    if (report.kinds && report.results.length > 1 && report.kinds.prediction.length > 1) {
      group.append(el('label.check', {}, el('input', {
        type: 'checkbox', id: `${place}-by-kind`, checked: layers.byKind,
        onchange: (event) => {
          Report.note({ by: event.target.checked ? 'kind' : 'result' });
          change();
        },
      }), ' color by kind of error'));
    }
    if (!report.kinds) return group;
    const kinds = el('fieldset.layers', {}, el('legend', {}, 'Only boxes that are'));
    if (report.kinds.prediction.length < 2) return group;
    const choices = [...report.kinds.prediction.filter((kind) => kind.code !== 1), ...report.kinds.truth.filter((kind) => kind.key === 'miss')];
    for (const kind of choices) {
      kinds.append(el('label.check', { title: kind.help }, el('input', {
        type: 'checkbox', id: `${place}-only-${kind.key}`, checked: layers.kinds.has(kind.key),
        onchange: (event) => {
          Report.note({ kinds: Draw.toggle(Draw.layers().kinds, kind.key, !event.target.checked) });
          change();
        },
      }), el('span.swatch', { style: `background: ${Draw.kinds[kind.key] || '#fff'}` }), ` ${kind.name.toLowerCase()}`));
    }
    const both = document.createDocumentFragment();
    both.append(group, kinds);
    return both;
  },

  /** List the images anew; resolves when the boxes are drawn. */
  async update({ list, pages, count, chips }) {
    const turn = (Gallery.turn = (Gallery.turn || 0) + 1);
    const state = Report.state();
    if (Filters.needsLists(state)) await Report.load('lists');
    if (turn !== Gallery.turn) return;
    Gallery.rows = Filters.rows(state);
    const total = Gallery.rows.length;
    const last = Math.max(0, Math.ceil(total / Gallery.size) - 1);
    const page = Math.min(last, Math.max(0, Number(state.get('page') || 0)));
    count.textContent = `${number(total, 0)} of ${number(Report.data.images.names.length, 0)} images`;
    chips.replaceChildren(...Filters.chips(Gallery.again));
    const rows = Gallery.rows.slice(page * Gallery.size, (page + 1) * Gallery.size);
    list.replaceChildren(...rows.map((row) => Gallery.card(row, state)));
    Gallery.pages(pages, page, last);
    await Gallery.redraw(list);
  },

  pages(nav, page, last) {
    const go = (to, text, title) => el('button', {
      type: 'button', title, 'aria-label': title, disabled: to < 0 || to > last || to === page,
      onclick: () => {
        Report.note({ page: to || null });
        Gallery.again();
        document.getElementById('count').scrollIntoView({ block: 'center' });
      },
    }, text);
    nav.replaceChildren(...(last ? [go(0, '«', 'First page'), go(page - 1, '‹', 'Page before'),
      el('span', {}, `page ${page + 1} of ${last + 1}`), go(page + 1, '›', 'Next page'), go(last, '»', 'Last page')] : []));
  },

  /** A picture with its name and numbers; a link to the whole image. */
  card(row, state) {
    const { images, report } = Report.data;
    const column = Filters.column(state);
    const name = images.names[row];
    const ratio = el('div.frame');
    const source = Gallery.source(row);
    if (source) {
      const image = el('img', { src: source, loading: 'lazy', decoding: 'async', alt: '' });
      image.addEventListener('error', () => ratio.classList.add('no-picture'), { once: true });
      ratio.append(image);
    } else {
      ratio.classList.add('no-picture');
    }
    if (report.kinds) ratio.append(el('canvas', { 'aria-hidden': 'true' }));
    for (const layer of report.layers || []) ratio.append(el('img.layer', { src: Gallery.layer(layer, row), loading: 'lazy', alt: '', 'data-layer': layer.key, class: `layer ${layer.look}` }));
    return el('a.picture', { href: Report.link({ image: name, box: null }), 'data-row': row, 'data-name': name }, ratio,
      el('span.name', {}, name),
      column ? el('span.value', {}, `${column.title}: ${number(column.values[row], column.digits)}`) : null,
      report.kinds ? el('span.boxes', {}, '') : null);
  },

  layer(layer, row) {
    return `pictures/${layer.folder}/${row}.png`;
  },

  /** The small picture, or the image itself. */
  source(row) {
    const { pictures } = Report.data.images;
    if (pictures.thumbnails && pictures.files[row]) return `pictures/${row}.jpg`;
    return Gallery.whole(row);
  },

  whole(row) {
    const { pictures } = Report.data.images;
    return pictures.files[row] ? pictures.base + pictures.files[row] : null;
  },

  /** Draw the boxes of the pictures that are listed. */
  async redraw(list) {
    const layers = Draw.layers();
    const cards = [...list.children];
    for (const card of cards) {
      for (const layer of card.querySelectorAll('img.layer')) layer.hidden = !layers.shown(layer.dataset.layer);
    }
    Viewer.heat();
    await Promise.all(cards.map(async (card) => {
      const image = await Report.image(Number(card.dataset.row));
      const frame = card.querySelector('.frame');
      frame.style.aspectRatio = `${image.size[0]} / ${image.size[1]}`;
      const canvas = card.querySelector('canvas');
      if (!canvas || !card.isConnected) return;
      const boxes = Draw.onCanvas(canvas, image, layers);
      const predicted = boxes.filter((box) => box.of !== 'truth').length;
      card.dataset.boxes = predicted;
      card.querySelector('.boxes').textContent = Draw.counted(predicted, boxes.length - predicted);
    }));
    list.dataset.drawn = (Number(list.dataset.drawn) || 0) + 1;
  },
};
