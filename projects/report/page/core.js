/* What every part of the page uses: data, the state in the address, elements, numbers. */
'use strict';

const Report = {
  data: {},
  waiting: {},

  /** Data scripts call this with what they hold. */
  put(name, content) {
    Report.data[name] = content;
  },

  /** Load a data script once; a promise of its content. */
  load(name) {
    if (name in Report.data) return Promise.resolve(Report.data[name]);
    if (!Report.waiting[name]) {
      Report.waiting[name] = new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = `data/${name}.js`;
        script.onload = () => resolve(Report.data[name]);
        script.onerror = () => {
          delete Report.waiting[name];
          reject(new Error(`data/${name}.js cannot be loaded: the report is not whole`));
        };
        document.head.append(script);
      });
    }
    return Report.waiting[name];
  },

  /** What there is of an image: its script holds those beside it too. */
  image(row) {
    const size = Report.data.images.chunk;
    return Report.load(`images-${Math.floor(row / size)}`).then((chunk) => chunk[row % size]);
  },

  /** The address after # as a map. */
  state() {
    return new URLSearchParams(location.hash.slice(1));
  },

  /** The address with changes: values by key; null, '' and undefined leave a key out. */
  link(changes) {
    const state = Report.state();
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === '') state.delete(key);
      else state.set(key, value);
    }
    return `#${state}`;
  },

  /** Go to an address: the page is drawn for it. */
  go(changes) {
    location.hash = Report.link(changes);
  },

  /** Note a setting in the address, so that the address can be passed on; who calls draws what changes. */
  note(changes) {
    history.replaceState(null, '', Report.link(changes));
  },

  /** The threshold of scores, in hundredths. */
  threshold() {
    const given = Report.state().get('score');
    const value = given === null ? Report.data.report.slider.first : Number(given);
    return Number.isFinite(value) ? Math.min(100, Math.max(0, Math.round(value))) : 0;
  },

  /** A setting that this browser remembers where it may. */
  setting(key, value) {
    try {
      if (value === undefined) return localStorage.getItem(`mmroad.${key}`);
      localStorage.setItem(`mmroad.${key}`, value);
    } catch {
      /* a page from disk may have no storage */
    }
    return null;
  },
};

/** Make an element: el('a.button', {href: '#'}, 'text', child, ...). */
function el(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split('.');
  const svg = ['svg', 'g', 'path', 'line', 'rect', 'circle', 'text', 'image', 'polyline', 'title'].includes(tag);
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  if (classes.length) node.setAttribute('class', classes.join(' '));
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'value' || key === 'checked' || key === 'selected') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A list of choices: options are [value, text]. */
function choice(label, options, value, change, attributes = {}) {
  const select = el('select', { ...attributes, onchange: () => change(select.value) });
  for (const [key, text] of options) select.append(el('option', { value: key, selected: String(key) === String(value) }, text));
  return el('label.field', {}, el('span', {}, label), select);
}

/** A number as text; a dash for what is not defined. */
function number(value, digits = 1) {
  if (value === null || value === undefined) return '–';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A number with its sign. */
function signed(value, digits = 1) {
  if (value === null || value === undefined) return '–';
  const text = number(Math.abs(value), digits);
  return Number(text.replaceAll(',', '')) === 0 ? `±${text}` : `${value < 0 ? '−' : '+'}${text}`;
}

/** A mark of a result's color, with its letter. */
function mark(of) {
  return el('span.mark', { style: `--own: var(--result-${of % 4})`, 'aria-hidden': 'true' }, String.fromCharCode(65 + of));
}

/** Say something where screen readers hear it and all see it. */
function tip(text, x, y) {
  const node = document.getElementById('tip');
  node.hidden = !text;
  if (!text) return;
  node.replaceChildren(...(typeof text === 'string' ? [text] : text));
  const { width, height } = node.getBoundingClientRect();
  node.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  node.style.top = `${Math.max(4, y + height + 24 > innerHeight ? y - height - 12 : y + 18)}px`;
}
