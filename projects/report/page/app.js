/* The page: its parts, and going from one to another. */
'use strict';

Report.parts = [
  ['scores', 'Scores', (main) => Scores.show(main), () => true],
  ['curves', 'Curves', (main) => main.append(el('div.charts', {}, ...Report.data.report.charts.map(Chart.card))), (report) => (report.charts || []).length],
  ['errors', 'Errors', (main) => Errors.show(main), (report) => report.errors || report.lists],
  ['confusion', 'Confusion', (main) => Confusion.show(main), (report) => report.confusion],
  ['images', 'Images', (main) => Gallery.show(main), () => true],
];

Report.shown = null;

/** Draw what the address asks for. */
Report.render = async function render() {
  const { report } = Report.data;
  const state = Report.state();
  const given = state.get('tab') || (state.has('image') ? 'images' : 'scores');
  const parts = Report.parts.filter(([, , , has]) => has(report));
  const [key, name, show] = parts.find(([part]) => part === given) || parts[0];
  const place = Report.link({ image: null, box: null });
  if (Report.shown !== place || Gallery.stale) {
    Report.shown = place;
    Gallery.stale = false;
    document.title = `${name} · ${report.title} · mmroad report`;
    document.getElementById('tabs').replaceChildren(...parts.map(([part, text]) => el('li', {}, el('a', {
      href: `#tab=${part}`, 'aria-current': part === key ? 'page' : null, id: `tab-${part}`,
    }, text))));
    const main = document.getElementById('main');
    main.replaceChildren();
    main.dataset.part = key;
    await show(main);
  }
  await Viewer.follow();
};

/** Draw, and say on the page if something is missing. */
Report.draw = function draw() {
  Report.render().catch((error) => {
    document.getElementById('main').prepend(el('p.missing', { role: 'alert' }, error.message));
    console.error(error);
  });
};

Report.theme = function theme(turn) {
  const root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  let now = Report.setting('theme') || (dark ? 'dark' : 'light');
  if (turn) {
    now = now === 'dark' ? 'light' : 'dark';
    Report.setting('theme', now);
  }
  root.dataset.theme = turn && root.dataset.theme ? (root.dataset.theme === 'dark' ? 'light' : 'dark') : now;
};

Report.start = function start() {
  Report.theme();
  const { report, images } = Report.data;
  const main = document.getElementById('main');
  if (!report || !images) {
    main.append(el('p.missing', { role: 'alert' }, 'data/report.js and data/images.js do not lie beside this page: the report is not whole.'));
    return;
  }
  document.getElementById('title').textContent = report.title;
  document.getElementById('sentence').textContent = report.sentence;
  document.getElementById('legend').replaceChildren(...(report.results.length > 1 ? report.results.map((name, r) => el('span', {}, mark(r), ` ${name}`)) : []));
  document.getElementById('footer').textContent = report.footer || '';
  document.getElementById('theme').addEventListener('click', () => Report.theme(true));
  document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  const viewer = document.getElementById('viewer');
  viewer.addEventListener('cancel', (event) => {
    event.preventDefault();
    Viewer.close();
  });
  viewer.addEventListener('keydown', Viewer.key);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'd' && !event.ctrlKey && !event.metaKey && !event.target.matches('input, select, textarea')) Report.theme(true);
  });
  window.addEventListener('hashchange', Report.draw);
  Report.draw();
};
