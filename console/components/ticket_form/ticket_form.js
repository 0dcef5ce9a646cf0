/** A new ticket: subject, text, an example to begin with. What is typed survives a reload and an outage. */
export default function ticketForm({ data, parentElement, setTriggerValue }) {
  const view = viewOf(parentElement, () => new TicketForm(parentElement));
  view.update(data, setTriggerValue);
  return () => view.leave();
}

class TicketForm {
  constructor(parent) {
    this.root = parent.appendChild(el("div", { class: "sides" }));
    this.formSide = this.root.appendChild(el("div"));
    this.listSide = this.root.appendChild(el("nav"));
    this.pending = null;
    this.shown = null;
    this.onKey = (event) => this.nextKey(event);
    document.addEventListener("keydown", this.onKey, true);
  }

  leave() {
    document.removeEventListener("keydown", this.onKey, true);
  }

  update(data, send) {
    this.data = data;
    this.send = send;
    const shown = JSON.stringify([data.draft_key, data.strings, data.examples]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.draft = new Draft(data.draft_key);
      this.build();
    }
    this.queueNode.replaceChildren(...this.queue());
    this.listSide.replaceChildren(...this.earlier());
    const { outcome } = data;
    if (outcome && outcome.nonce === this.pending) {
      this.settle(outcome.message);
      if (outcome.ok) {
        this.draft.clear();
        this.subject.value = this.text.value = "";
      }
    }
  }

  build() {
    const { strings, examples, max_chars: maxChars } = this.data;
    const draft = this.draft.read() ?? { subject: "", text: "" };
    this.subject = el("input", { type: "text", maxlength: 500, oninput: () => this.keep() });
    this.text = el("textarea", {
      rows: 9, maxlength: maxChars, required: true, placeholder: strings.text_placeholder, oninput: () => this.keep(),
    });
    this.subject.value = draft.subject;
    this.text.value = draft.text;
    this.button = el("button", { type: "submit", class: "primary" }, strings.ask);
    this.message = el("p", { role: "status" });
    const form = el(
      "form",
      { onsubmit: (event) => { event.preventDefault(); this.ask(); }, onkeydown: (event) => this.key(event) },
      examples.length ? this.exampleField() : null,
      el("label", {}, el("span", {}, strings.subject, " ", el("span", { class: "muted" }, strings.optional)), this.subject),
      el("label", {}, el("span", {}, strings.text), this.text),
      el("div", { class: "actions" }, this.button, this.message),
    );
    this.queueNode = el("section", { class: "queue", "aria-label": strings.queue });
    this.formSide.replaceChildren(this.queueNode, form);
  }

  /** What waits for this rater, if anything does: one button, one key. */
  queue() {
    const { strings, queue } = this.data;
    this.queueNode.hidden = !queue;
    if (!queue) return [];
    const next = el("button", { type: "button", class: "primary", onclick: () => this.send("next", true) }, strings.next);
    return [el("b", {}, queue), next, el("span", { class: "muted" }, strings.next_key)];
  }

  /** N, by its place on the keyboard, wherever nothing is being typed. */
  nextKey(event) {
    const target = event.composedPath()[0];
    const hasCommand = event.ctrlKey || event.metaKey || event.altKey;
    if (event.code !== "KeyN" || isTyping(target) || hasCommand || !this.root.isConnected || !this.data.queue) return;
    event.preventDefault();
    event.stopPropagation();
    this.send("next", true);
  }

  exampleField() {
    const { strings, examples } = this.data;
    const options = examples.map((example, index) => {
      const title = example.subject || example.text;
      return el("option", { value: index }, title.length > 70 ? `${title.slice(0, 69)}…` : title);
    });
    const choice = el("select", {}, el("option", { value: "" }, strings.own_ticket), ...options);
    choice.addEventListener("change", () => {
      const example = examples[choice.value] ?? { subject: "", text: "" };
      this.subject.value = example.subject;
      this.text.value = example.text;
      this.keep();
    });
    return el("label", {}, el("span", {}, strings.examples), choice);
  }

  /** The rater's earlier tickets: links, so that one can also be opened in another tab. */
  earlier() {
    const { strings, suggestions } = this.data;
    this.listSide.setAttribute("aria-label", strings.earlier);
    const rows = suggestions.map((row) => {
      const open = (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        this.send("open", { suggestion_id: row.id });
      };
      const link = el("a", { href: `?suggestion=${row.id}`, onclick: open }, row.title);
      return el("li", {}, link, el("span", { class: row.is_rated ? "tag rated" : "tag" }, row.state), el("span", { class: "muted" }, row.when));
    });
    const list = rows.length ? el("ul", {}, ...rows) : el("p", { class: "muted" }, strings.none_earlier);
    return [el("h2", {}, strings.earlier), list];
  }

  keep() {
    this.draft.write({ subject: this.subject.value, text: this.text.value });
  }

  key(event) {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      this.ask();
    }
    event.stopPropagation(); // letters are meant for the ticket, not for Streamlit's own shortcuts
  }

  ask() {
    const { strings } = this.data;
    if (this.pending) return;
    if (!this.text.value.trim()) {
      this.settle(strings.text_missing);
      this.text.focus();
      return;
    }
    this.pending = newNonce();
    this.button.disabled = true;
    setText(this.message, strings.asking);
    this.message.className = "muted";
    this.timer = window.setTimeout(() => this.settle(strings.no_reply), 30_000);
    this.send("ask", { nonce: this.pending, subject: this.subject.value, text: this.text.value });
  }

  settle(message) {
    window.clearTimeout(this.timer);
    this.pending = null;
    this.button.disabled = false;
    setText(this.message, message);
    this.message.className = "wrong";
  }
}
