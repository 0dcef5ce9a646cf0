/** Make an element. Strings become text nodes, so no text of a model or a customer is ever read as markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set a node's text only if it differs: a selection or a screen reader's place survives. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Fill the {placeholders} of a translated sentence. */
function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** What was entered and not yet sent, kept in this browser until it is stored. */
class Draft {
  constructor(key) {
    this.key = key;
  }
  read() {
    try {
      return JSON.parse(window.localStorage.getItem(this.key) ?? "null");
    } catch {
      return null; // storage is forbidden, or somebody else's: as if there were none
    }
  }
  write(value) {
    try {
      window.localStorage.setItem(this.key, JSON.stringify(value));
    } catch {
      // storage is full or forbidden: the form itself still holds everything until a reload
    }
  }
  clear() {
    try {
      window.localStorage.removeItem(this.key);
    } catch {
      // nothing was stored either
    }
  }
}

function newNonce() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
}

/** One view per mount: Streamlit calls the component again, with the same parent, whenever its data changes. */
const views = new WeakMap();
function viewOf(parent, make) {
  if (!views.has(parent)) views.set(parent, make());
  return views.get(parent);
}

/** Whether what is typed here is text, or chooses something: keys of ours would be in the way. */
function isTyping(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable]"));
}
