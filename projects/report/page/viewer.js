/* One image, large: layers, zoom, and a list of its boxes. */
'use strict';

const Viewer = {
  row: -1,

  /** Show the image that the address names, or close. */
  async follow() {
    const dialog = document.getElementById('viewer');
    const name = Report.state().get('image');
    if (name === null) {
      if (dialog.open) dialog.close();
      Viewer.row = -1;
      return;
    }
    const row = Report.data.images.names.indexOf(name);
    if (row < 0) {
      dialog.replaceChildren(el('p.missing', {}, `This report has no image called ${name}.`), Viewer.closer());
    } else {
      Viewer.row = row;
      const image = await Report.image(row);
      if (Report.state().get('image') !== name) return;
      Viewer.build(dialog, image, name);
    }
    if (!dialog.open) {
      dialog.showModal();
      (dialog.querySelector('.stage') || dialog.querySelector('button')).focus();
    }
    if (row >= 0) Viewer.place();
  },

  closer() {
    return el('button.close', { type: 'button', onclick: Viewer.close, title: 'Close (Escape)' }, 'Close');
  },

  close() {
    Report.go({ image: null, box: null });
  },

  /** Rows that the arrows go through: those listed, or all. */
  order() {
    return Gallery.rows.includes(Viewer.row) ? Gallery.rows : Report.data.images.names.map((_, row) => row);
  },

  step(by) {
    const rows = Viewer.order();
    const to = rows[rows.indexOf(Viewer.row) + by];
    if (to !== undefined) history.replaceState(null, '', Report.link({ image: Report.data.images.names[to], box: null }));
    if (to !== undefined) Viewer.follow();
  },

  build(dialog, image, name) {
    const { images, report } = Report.data;
    const [width, height] = image.size;
    const rows = Viewer.order();
    const at = rows.indexOf(Viewer.row);
    const svg = el('svg.stage', { tabindex: 0, role: 'img', 'aria-label': `${name} with its layers`, preserveAspectRatio: 'xMidYMid meet' });
    const count = el('p.count', { id: 'viewer-count', role: 'status' });
    const table = el('div.boxlist', { role: 'region', 'aria-label': 'Boxes' });
    Viewer.view = { svg, image, count, table, x: 0, y: 0, w: width, h: height };
    Viewer.aim();
    const draw = () => Viewer.draw();
    const copy = el('button', { type: 'button', id: 'copy', onclick: () => Viewer.copy(copy), title: 'Copy a link to this image' }, 'Copy link');
    const button = (text, title, act) => el('button', { type: 'button', title, 'aria-label': title, onclick: act }, text);
    dialog.replaceChildren(
      el('div.bar', {}, el('h2', {}, name),
        el('span.place', {}, `${at + 1} of ${number(rows.length, 0)}`),
        button('‹', 'Image before (left arrow)', () => Viewer.step(-1)), button('›', 'Next image (right arrow)', () => Viewer.step(1)),
        button('−', 'Smaller (-)', () => Viewer.zoom(1 / 1.5)), button('+', 'Larger (+)', () => Viewer.zoom(1.5)), button('1:1', 'Whole image (0)', Viewer.fit),
        copy, Viewer.closer()),
      el('div.split', {}, svg, el('aside', {},
        el('dl.facts', {}, ...images.attributes.flatMap((a) => [el('dt', {}, a.title), el('dd', {}, a.values[a.codes[Viewer.row]])]),
          ...images.columns.filter((c) => !c.title.includes(' better ')).flatMap((c) => [el('dt', { title: c.help || '' }, c.title), el('dd', {}, number(c.values[Viewer.row], c.digits))])),
        report.kinds || report.heat ? Filters.slider(() => { draw(); Gallery.stale = true; }, 'viewer') : null,
        Gallery.layers(() => { draw(); Gallery.stale = true; }, 'viewer'), count, table)));
    draw();
    Viewer.pointer(svg);
    new ResizeObserver(() => { if (svg.isConnected) Viewer.place(); }).observe(svg);
  },

  copy(button) {
    const said = (text) => {
      button.textContent = text;
      setTimeout(() => { button.textContent = 'Copy link'; }, 1500);
    };
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(() => said('Copied'), () => prompt('The link:', location.href));
    else prompt('The link:', location.href);
  },

  /** Turn to the box that the address names. */
  aim() {
    const box = (Report.state().get('box') || '').split(',').map(Number);
    if (box.length !== 4 || !box.every(Number.isFinite)) return;
    const { view } = Viewer;
    const [width, height] = view.image.size;
    const size = Math.max(box[2] / width, box[3] / height, 0.08) * 2.5;
    if (size >= 1) return;
    view.w = width * size;
    view.h = height * size;
    view.x = box[0] + box[2] / 2 - view.w / 2;
    view.y = box[1] + box[3] / 2 - view.h / 2;
    Viewer.hold();
  },

  hold() {
    const { view } = Viewer;
    const [width, height] = view.image.size;
    view.x = Math.max(0, Math.min(width - view.w, view.x));
    view.y = Math.max(0, Math.min(height - view.h, view.y));
  },

  fit() {
    const { view } = Viewer;
    [view.w, view.h] = view.image.size;
    view.x = view.y = 0;
    Viewer.place();
  },

  zoom(by, cx = 0.5, cy = 0.5) {
    const { view } = Viewer;
    const [width, height] = view.image.size;
    const size = Math.min(1, Math.max(0.02, view.w / width / by));
    view.x += cx * (view.w - width * size);
    view.y += cy * (view.h - height * size);
    view.w = width * size;
    view.h = height * size;
    Viewer.hold();
    Viewer.place();
  },

  place() {
    const { view } = Viewer;
    view.svg.setAttribute('viewBox', `${view.x} ${view.y} ${view.w} ${view.h}`);
    const pixels = Math.min(view.svg.clientWidth / view.w, view.svg.clientHeight / view.h) || 1;
    view.svg.style.setProperty('--u', `${1 / pixels}px`);
    view.svg.dataset.zoom = (view.image.size[0] / view.w).toFixed(3);
  },

  draw() {
    const { report } = Report.data;
    const { svg, image, count, table } = Viewer.view;
    const layers = Draw.layers();
    const [width, height] = image.size;
    const all = { x: 0, y: 0, width, height, preserveAspectRatio: 'none' };
    const picture = el('image', { ...all, href: Gallery.whole(Viewer.row) || '' });
    picture.addEventListener('error', () => {
      const { pictures } = Report.data.images;
      if (pictures.thumbnails && !picture.dataset.small) {
        picture.dataset.small = '1';
        picture.setAttribute('href', `pictures/${Viewer.row}.jpg`);
      } else {
        picture.remove();
      }
    });
    svg.replaceChildren(el('rect.ground', { x: 0, y: 0, width, height }), Gallery.whole(Viewer.row) ? picture : '');
    for (const layer of report.layers || []) {
      if (layers.shown(layer.key)) svg.append(el('image', { ...all, href: Gallery.layer(layer, Viewer.row), class: `layer ${layer.look}`, 'data-layer': layer.key }));
    }
    Viewer.heat();
    const boxes = Draw.boxes(image, layers);
    for (const box of boxes) svg.append(Viewer.box(box, layers));
    const predicted = boxes.filter((box) => box.of !== 'truth').length;
    count.textContent = report.kinds ? Draw.counted(predicted, boxes.length - predicted) : '';
    count.dataset.boxes = predicted;
    Viewer.list(table, boxes, layers);
    Viewer.place();
  },

  box(box, layers) {
    const color = Draw.color(box, layers);
    const sides = { x: box.x, y: box.y, width: Math.max(0, box.w), height: Math.max(0, box.h) };
    let label = '';
    if (box.of !== 'truth') {
      label = Report.data.report.unscored ? box.label : `${box.label} ${box.score.toFixed(2)}${box.kind.code > 1 ? ` · ${box.kind.key}` : ''}`;
    }
    const group = el('g.box', { 'data-of': box.of, 'data-key': `${box.of}-${box.row}`, style: `--own: ${color}` },
      el('title', {}, Draw.words(box)), el('rect.halo', sides), el('rect.side', { ...sides, 'stroke-dasharray': Draw.dash(box, layers).join(' ') || null, 'stroke-width': Draw.width(box, layers) }));
    if (label) group.append(el('text', { x: Math.max(0, box.x), y: box.y, dy: '-0.3em' }, label));
    return group;
  },

  list(place, boxes, layers) {
    if (!boxes.length) {
      place.replaceChildren();
      return;
    }
    const order = [...boxes].sort((a, b) => (a.of === 'truth') - (b.of === 'truth') || (b.score || 0) - (a.score || 0));
    const light = (box, on) => Viewer.view.svg.querySelector(`[data-key="${box.of}-${box.row}"]`)?.classList.toggle('lit', on);
    place.replaceChildren(el('table', {}, el('tbody', {}, ...order.map((box) => el('tr', {
      onpointerenter: () => light(box, true), onpointerleave: () => light(box, false),
    }, el('td', {}, el('button.plain', {
      type: 'button', onfocus: () => light(box, true), onblur: () => light(box, false),
      onclick: () => {
        Report.note({ box: [box.x, box.y, box.w, box.h].map((v) => Math.round(v)).join(',') });
        Viewer.aim();
        Viewer.place();
      },
    }, el('span.swatch', { style: `background: ${Draw.color(box, layers)}` }), ` ${Draw.words(box)}`)))))));
  },

  /** Heat maps: the slider paints what lies above it. */
  heat() {
    const { report } = Report.data;
    if (!report.heat) return;
    const cut = Math.ceil(Report.threshold() * 2.55);
    document.getElementById('above-table').setAttribute('tableValues', Array.from({ length: 256 }, (_, i) => (i >= cut && cut ? 1 : 0)).join(' '));
  },

  pointer(svg) {
    let from = null;
    const part = (event) => {
      const box = svg.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    svg.addEventListener('wheel', (event) => {
      event.preventDefault();
      Viewer.zoom(event.deltaY < 0 ? 1.25 : 0.8, ...part(event));
    }, { passive: false });
    svg.addEventListener('pointerdown', (event) => {
      from = part(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener('pointermove', (event) => {
      if (!from) return;
      const [x, y] = part(event);
      Viewer.view.x += (from[0] - x) * Viewer.view.w;
      Viewer.view.y += (from[1] - y) * Viewer.view.h;
      from = [x, y];
      Viewer.hold();
      Viewer.place();
    });
    svg.addEventListener('pointerup', () => { from = null; });
  },

  /** Keys while the image is open. */
  key(event) {
    if (event.target.matches('input[type=search], select') || event.ctrlKey || event.metaKey || event.altKey) return;
    const slider = event.target.matches('input[type=range]');
    const act = {
      ArrowLeft: slider ? null : () => Viewer.step(-1), ArrowRight: slider ? null : () => Viewer.step(1),
      '+': () => Viewer.zoom(1.5), '=': () => Viewer.zoom(1.5), '-': () => Viewer.zoom(1 / 1.5), 0: Viewer.fit,
      t: () => Viewer.flip('truth'), a: () => Viewer.flip('r0'), b: () => Viewer.flip('r1'), c: () => Viewer.flip('r2'),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  },

  flip(key) {
    document.querySelector(`#viewer-layer-${key}`)?.click();
  },
};
