// What the browser does by itself: zoom and move pictures, light up edits that belong together, keys.
(() => {
  const views = new WeakMap();

  function draw(viewer) {
    const view = views.get(viewer);
    viewer.querySelector('.stage').style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  }

  function fit(viewer) {
    const image = viewer.querySelector('img');
    if (!image.naturalWidth || !viewer.clientWidth) return;
    const scale = Math.min(viewer.clientWidth / image.naturalWidth, viewer.clientHeight / image.naturalHeight, 3);
    views.set(viewer, {scale, x: (viewer.clientWidth - image.naturalWidth * scale) / 2, y: (viewer.clientHeight - image.naturalHeight * scale) / 2});
    const box = (viewer.dataset.box || '').split(',').map(Number);
    if (box.length === 4) {
      const frame = viewer.querySelector('.box');
      Object.assign(frame.style, {display: 'block', left: `${box[0]}px`, top: `${box[1]}px`, width: `${box[2] - box[0]}px`, height: `${box[3] - box[1]}px`});
      if (!viewer.classList.contains('large')) {  // as wide as the page, with the line in the middle
        const wide = viewer.clientWidth / image.naturalWidth;
        views.set(viewer, {scale: wide, x: 0, y: Math.min(0, Math.max(viewer.clientHeight - image.naturalHeight * wide,
          viewer.clientHeight / 2 - wide * (box[1] + box[3]) / 2))});
      }
    }
    draw(viewer);
  }

  function zoom(viewer, factor, x, y) {
    const view = views.get(viewer);
    if (!view) return;
    const scale = Math.min(Math.max(view.scale * factor, 0.03), 24);
    const grown = scale / view.scale;
    views.set(viewer, {scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown});
    draw(viewer);
  }

  function enlarge(viewer, on) {
    document.querySelectorAll('.viewer.large').forEach(other => { other.classList.remove('large'); fit(other); });
    if (on) { viewer.classList.add('large'); viewer.focus(); fit(viewer); }
  }

  document.addEventListener('load', event => {
    const viewer = event.target.closest && event.target.closest('.viewer');
    if (viewer) fit(viewer);
  }, true);
  document.addEventListener('error', event => {
    if (event.target.closest && event.target.closest('.viewer, .thumb')) event.target.replaceWith('the picture is gone: reload this page');
  }, true);
  // Where the next line lies on the same page, its picture's elements are kept and written over: nothing loads, and its place is lost.
  new MutationObserver(() => document.querySelectorAll('.viewer').forEach(viewer => {
    if (viewer.querySelector('img')?.complete && !viewer.querySelector('.stage').style.transform) fit(viewer);
  })).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['style', 'data-box']});
  window.addEventListener('resize', () => document.querySelectorAll('.viewer').forEach(fit));

  document.addEventListener('wheel', event => {
    const viewer = event.target.closest('.viewer');
    if (!viewer) return;
    event.preventDefault();
    const at = viewer.getBoundingClientRect();
    zoom(viewer, Math.exp(-event.deltaY / 400), event.clientX - at.left, event.clientY - at.top);
  }, {passive: false});

  let held = null;
  document.addEventListener('pointerdown', event => {
    const viewer = event.target.closest('.viewer');
    if (viewer && !event.target.closest('.tools')) held = {viewer, x: event.clientX, y: event.clientY};
  });
  document.addEventListener('pointermove', event => {
    const view = held && views.get(held.viewer);
    if (!view) return;
    views.set(held.viewer, {...view, x: view.x + event.clientX - held.x, y: view.y + event.clientY - held.y});
    Object.assign(held, {x: event.clientX, y: event.clientY});
    draw(held.viewer);
  });
  document.addEventListener('pointerup', () => { held = null; });
  document.addEventListener('dblclick', event => {
    const viewer = event.target.closest('.viewer');
    if (viewer) enlarge(viewer, !viewer.classList.contains('large'));
  });

  function turn(viewer, how) {
    if (how === 'fit') fit(viewer);
    else if (how === 'large') enlarge(viewer, !viewer.classList.contains('large'));
    else zoom(viewer, how === 'in' ? 1.5 : 1 / 1.5, viewer.clientWidth / 2, viewer.clientHeight / 2);
  }
  document.addEventListener('click', event => {
    const button = event.target.closest('[data-zoom]');
    if (button) turn(button.closest('.viewer'), button.dataset.zoom);
  });

  // The same edit in reference and prediction.
  document.addEventListener('mouseover', event => {
    document.querySelectorAll('.hot').forEach(mark => mark.classList.remove('hot'));
    const mark = event.target.closest('[data-edit]');
    const texts = mark && mark.closest('.texts');
    if (texts) texts.querySelectorAll(`[data-edit="${mark.dataset.edit}"]`).forEach(twin => twin.classList.add('hot'));
  });

  // Texts side by side scroll together, by their share of the way.
  document.addEventListener('scroll', event => {
    const body = event.target;
    const group = body.closest && body.closest('.synchronised');
    if (!group || group.dataset.moving) return;
    group.dataset.moving = '1';
    const share = body.scrollTop / Math.max(1, body.scrollHeight - body.clientHeight);
    group.querySelectorAll('.body').forEach(other => {
      if (other !== body) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
    });
    requestAnimationFrame(() => requestAnimationFrame(() => delete group.dataset.moving));
  }, true);

  // What is shown stands in the address, and a list shows the row that was picked last, however it was picked.
  const rows = new WeakMap();
  let query = null;
  new MutationObserver(() => {
    const shown = [...document.querySelectorAll('[data-query]')].find(element => element.offsetParent !== null);
    if (shown && shown.dataset.query !== query) {
      query = shown.dataset.query;
      history.replaceState(history.state, '', location.pathname + query);
    }
    document.querySelectorAll('.list').forEach(list => {
      const row = list.querySelector('.row.picked');
      if (!row || rows.get(list) === row.dataset.pick || !list.clientHeight) return;
      rows.set(list, row.dataset.pick);
      const box = list.getBoundingClientRect(), at = row.getBoundingClientRect();
      list.scrollTop += Math.min(0, at.top - box.top) + Math.max(0, at.bottom - box.bottom);
    });
  }).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['class', 'data-query', 'data-pick']});
  // Another reader's text, taken into a text field.
  document.addEventListener('click', event => {
    const button = event.target.closest('[data-take]');
    const field = button && document.querySelector(button.dataset.into);
    if (!field) return;
    field.value = JSON.parse(button.dataset.take);
    field.dispatchEvent(new Event('input', {bubbles: true}));
  });

  // What `waits` asks the server, and until the answer is here the screen shows what was before: nothing else of the kind can be pressed.
  const PATIENCE_MS = 20000;  // an answer that never comes
  let asked = -Infinity, early = [];
  const isWaiting = () => performance.now() - asked < PATIENCE_MS;
  document.addEventListener('click', event => {
    const button = event.target.closest('button.waits, .waits button');
    if (!button || button.disabled) return;
    if (isWaiting()) event.stopImmediatePropagation();
    else asked = performance.now();
  }, true);
  document.addEventListener('answered', event => setTimeout(() => {
    sessionStorage.setItem('drafts', JSON.stringify(event.detail));
    asked = -Infinity;
    while (early.length && !isWaiting()) comeLate(early.shift());
  }));

  // A text that was changed outlives a reload, which Gradio does by itself when the server was restarted.
  document.addEventListener('input', event => {
    const shown = event.target.closest('#review-text') && document.querySelector('#review-picture [data-shown]');
    if (!shown) return;
    const {page_id, row} = JSON.parse(shown.dataset.shown), drafts = JSON.parse(sessionStorage.getItem('drafts') || '{}');
    sessionStorage.setItem('drafts', JSON.stringify({...drafts, [page_id]: {text: event.target.value, row}}));
  });

  // Keys: a letter presses the visible button of its class; in a text field only Escape and Ctrl keys do.
  const FIELDS = 'input, textarea, select, [contenteditable]';
  const CLASSES = {'/': 'slash', 'ctrl-Enter': 'ctrl-enter'};
  const seen = element => element.offsetParent !== null;
  const find = name => [...document.querySelectorAll(`.${CSS.escape(`key-${CLASSES[name] || name}`)}`)].find(seen);

  function obey(name) {
    const viewer = document.activeElement.closest('.viewer') || [...document.querySelectorAll('.viewer')].find(seen);
    const way = {'+': 'in', '=': 'in', '-': 'out', '0': 'fit', 'z': 'large'}[name];
    if (way && viewer) { turn(viewer, way); return true; }
    const target = find(name);
    if (!target) return false;
    const field = target.querySelector('textarea, input');
    if (!field) target.click();
    else { field.focus(); if (name === '/') field.select(); }
    return true;
  }

  // What was typed while an answer was on its way goes to what is shown now: steps, and words in a text. A decision is dropped
  // where something else is shown now: nobody had seen it.
  const EDITS = {Enter: ['insertText', '\n'], Backspace: ['delete'], 'ctrl-a': ['selectAll']};
  const canWait = event => nameKey(event) in EDITS || (event.key.length === 1 && !event.ctrlKey && !event.metaKey);
  const screen = () => document.querySelector('#review-said')?.innerHTML + document.querySelector('[data-shown]')?.dataset.shown;
  function comeLate({name, key, before}) {
    const [command, text] = EDITS[name] || ['insertText', key];
    if (document.activeElement.matches(FIELDS)) document.execCommand(command, false, text);
    else if (!find(name)?.matches('.decides') || before === screen()) obey(name);
  }

  function nameKey(event) {
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    return event.ctrlKey || event.metaKey ? `ctrl-${name}` : name;
  }

  document.addEventListener('keydown', event => {
    const large = document.querySelector('.viewer.large');
    const typing = event.target.matches(FIELDS), name = nameKey(event);
    if (event.altKey && !event.ctrlKey && !event.metaKey) return;
    if (name === 'Escape') {
      if (large) enlarge(large, false);
      else if (typing) event.target.blur();
      return;
    }
    if (isWaiting() && (canWait(event) || name === 'ctrl-Enter')) {
      event.preventDefault();
      if (!event.repeat && canWait(event)) early.push({name, key: event.key, before: screen()});
      return;
    }
    if (typing && !name.startsWith('ctrl-')) return;
    // Held down, a key goes on from page to page, and decides nothing.
    const isHeld = event.repeat && !['j', 'k'].includes(name) && (find(name) || event.target).matches('.waits, .waits *');
    if (isHeld || obey(name)) event.preventDefault();
    if (typing && find(name)) event.target.blur();  // what is typed next is a key again, not a letter in the next text
  });
})();
