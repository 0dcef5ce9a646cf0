/** Lets a text that arrives in lumps grow evenly: what came is written out until about the next lump. */
class Typewriter {
  constructor(node) {
    this.node = node;
    this.shown = "";
    this.wanted = "";
    this.cameAt = performance.now();
    this.pace = 0; // characters per millisecond
  }

  show(text, isWriting) {
    if (text === this.wanted && isWriting) return;
    const now = performance.now();
    const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!isWriting || isCalm || !text.startsWith(this.shown)) {
      this.shown = text; // the whole, at once: nobody waits for an effect
    } else {
      this.pace = (text.length - this.shown.length) / Math.min(1_500, Math.max(300, now - this.cameAt));
    }
    this.wanted = text;
    this.cameAt = now;
    setText(this.node, this.shown);
    if (this.shown.length < text.length && !this.frame) this.step(now);
  }

  step(before) {
    this.frame = window.requestAnimationFrame((now) => {
      this.frame = 0;
      const more = Math.max(1, Math.round(this.pace * (now - before)));
      this.shown = this.wanted.slice(0, this.shown.length + more);
      setText(this.node, this.shown);
      if (this.shown.length < this.wanted.length) this.step(now);
    });
  }
}

/** One answer: its state and text, four scores, a comment and a corrected answer. */
class AnswerColumn {
  constructor(board, answerId) {
    this.board = board;
    this.answerId = answerId;
    this.rows = new Map(); // metric key → { row, inputs: Map(score → input) }
    this.name = el("h3", { id: `answer-${answerId}` });
    this.state = el("span", { class: "state" });
    this.who = el("p", { class: "who" });
    this.text = el("div", { class: "text", tabindex: 0, role: "region", "aria-labelledby": `answer-${answerId}` });
    this.writing = new Typewriter(this.text);
    this.notes = el("div");
    this.body = el("div", { class: "body" }, this.text, this.notes);
    this.scores = el("div", { class: "scores", hidden: true });
    this.more = el("details", { class: "more", hidden: true });
    this.root = el(
      "article",
      { class: "answer", "aria-labelledby": `answer-${answerId}` },
      el("header", {}, this.name, this.state, this.who), this.body, this.scores, this.more,
    );
  }

  update(answer, isLocked) {
    const { strings } = this.board.data;
    this.answer = answer;
    setText(this.name, fill(strings.answer, { slot: answer.slot }));
    setText(this.state, strings.states[answer.status] + (answer.flags.length ? ` · ${strings.flagged}` : ""));
    this.state.className = `state ${answer.status}`;
    setText(this.who, answer.candidate ?? "");
    this.who.hidden = !answer.candidate;
    this.writing.show(answer.text, answer.status === "writing");
    this.text.hidden = !answer.text && answer.status === "failed";
    this.updateNotes(strings);
    this.scores.hidden = this.more.hidden = answer.status !== "done";
    if (answer.status === "done") this.updateScores(isLocked);
  }

  updateNotes(strings) {
    const { answer } = this;
    const shown = JSON.stringify([answer.status, answer.error, answer.cut, answer.sources, answer.candidate_note]);
    if (shown === this.notesShown) return;
    this.notesShown = shown;
    const notes = answer.cut.map((what) => el("p", { class: "note" }, strings.cut[what]));
    if (answer.candidate_note) notes.push(el("p", { class: "note" }, answer.candidate_note));
    if (answer.sources.length) {
      notes.push(el("p", { class: "note" }, fill(strings.sources, { titles: answer.sources.join("; ") })));
    }
    if (answer.status === "failed" || answer.status === "cancelled") {
      const again = el("button", { type: "button" }, strings.ask_again);
      again.addEventListener("click", () => {
        again.disabled = true;
        this.board.send("retry", { answer_id: this.answerId });
        window.setTimeout(() => { again.disabled = false; }, 5_000);
      });
      notes.push(el("div", { class: "failed" }, el("p", { class: "wrong" }, answer.error ?? strings.no_answer), again));
    }
    this.notes.replaceChildren(...notes);
  }

  updateScores(isLocked) {
    if (!this.rows.size) this.buildScores();
    const own = this.board.entry(this.answerId);
    for (const [metric, { inputs }] of this.rows) {
      for (const [score, input] of inputs) {
        input.checked = own.scores[metric] === score;
        input.disabled = isLocked;
      }
    }
    for (const field of [this.comment, this.corrected]) field.readOnly = isLocked;
    if (this.comment.value !== own.comment) this.comment.value = own.comment;
    if (this.corrected.value !== own.corrected_text) this.corrected.value = own.corrected_text;
    this.correct.hidden = isLocked;
    for (const [kind, box] of this.flags) box.checked = this.answer.flags.includes(kind);
    const weighted = this.board.weighted(own.scores);
    setText(this.totalValue, weighted ?? "–");
  }

  buildScores() {
    const { strings, metrics } = this.board.data;
    for (const metric of metrics) this.scores.append(this.scoreRow(metric));
    this.totalValue = el("span");
    this.total = el("p", { class: "weighted" }, el("span", {}, strings.weighted), this.totalValue);
    this.scores.append(this.total);
    this.comment = this.field("comment", 5_000, 2);
    this.corrected = this.field("corrected_text", 50_000, 6);
    this.correct = el("button", { type: "button" }, strings.start_from_answer);
    this.correct.addEventListener("click", () => {
      this.corrected.value = this.answer.text;
      this.board.set(this.answerId, "corrected_text", this.answer.text);
      this.corrected.focus();
    });
    this.more.append(
      el("summary", {}, strings.more),
      el("label", {}, strings.comment, this.comment),
      el("label", {}, strings.corrected, this.corrected),
      this.correct,
      this.flagBoxes(),
    );
  }

  /** A flag is stored at once: it does not wait for the scores. */
  flagBoxes() {
    const { strings } = this.board.data;
    this.flags = new Map();
    const boxes = Object.entries(strings.flags).map(([kind, words]) => {
      const box = el("input", {
        type: "checkbox",
        onchange: () => this.board.send("flag", { answer_id: this.answerId, kind, is_set: box.checked }),
      });
      this.flags.set(kind, box);
      return el("label", { class: "flag" }, box, words);
    });
    return el("div", { role: "group", "aria-label": strings.flag, class: "flags" }, el("b", {}, strings.flag), ...boxes);
  }

  scoreRow(metric) {
    const { lowest, highest } = this.board.data;
    const labelId = `label-${this.answerId}-${metric.key}`;
    const share = el("small", {}, ` ${Math.round(metric.weight * 100)}%`);
    const label = el("span", { class: "metric", id: labelId }, metric.name, share);
    const chips = el("span", { class: "chips" });
    const row = el("div", { class: "row", role: "radiogroup", "aria-labelledby": `answer-${this.answerId} ${labelId}` }, label, chips);
    const inputs = new Map();
    for (let score = lowest; score <= highest; score += 1) {
      const tell = () => this.board.guide(metric, score);
      const input = el("input", {
        type: "radio", name: `${this.answerId}-${metric.key}`, value: score,
        "aria-label": `${score}: ${metric.scale[score - lowest]}`,
        onchange: () => this.board.score(this.answerId, metric.key, score),
        onfocus: () => { this.board.moveTo(this.answerId, metric.key); tell(); },
      });
      inputs.set(score, input);
      chips.append(el("label", { class: "chip", onmouseenter: tell }, input, el("span", { "aria-hidden": "true" }, score)));
    }
    this.rows.set(metric.key, { row, inputs });
    return row;
  }

  field(name, maxLength, rows) {
    return el("textarea", {
      rows, maxlength: maxLength,
      oninput: (event) => this.board.set(this.answerId, name, event.target.value),
    });
  }

  /** Put the focus on a metric's chosen score, or on its first. */
  focus(metric) {
    const { row, inputs } = this.rows.get(metric);
    const chosen = [...inputs.values()].find((input) => input.checked) ?? inputs.values().next().value;
    chosen.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
}
