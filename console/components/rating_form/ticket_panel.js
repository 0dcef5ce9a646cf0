/** The ticket, which stays in view, and the ways to another one. */
function ticketPanel(board) {
  const { ticket, strings } = board.data;
  const text = el("div", { class: "text", tabindex: 0, role: "region", "aria-label": strings.ticket }, ticket.text);
  const words = el("div", { class: "grow" }, ticket.subject ? el("h2", {}, ticket.subject) : null, text);
  const again = el("button", { type: "button", title: strings.asking_again }, strings.ask_ticket_again);
  again.addEventListener("click", () => {
    again.disabled = true;
    board.send("again", true);
    window.setTimeout(() => { again.disabled = false; }, 5_000);
  });
  const other = el("button", { type: "button", onclick: () => board.send("leave", true) }, strings.new_ticket);
  const ways = el("div", { class: "ways" }, again, other);
  const panel = el("section", { class: "ticket" }, el("header", {}, words, ways));
  if (ticket.earlier.length) {
    const turns = ticket.earlier.map((turn) =>
      el("div", { class: "turn" }, el("b", {}, strings.roles[turn.role]), el("div", { class: "text" }, turn.text)));
    panel.append(el("details", {}, el("summary", {}, strings.earlier), ...turns));
  }
  if (board.data.askings.length) panel.append(askingList(board));
  return panel;
}

/** The other askings of the same ticket: links, so that one can also be opened in another tab. */
function askingList(board) {
  const { askings, strings } = board.data;
  const rows = askings.map((asking) => {
    const open = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      board.send("open", { suggestion_id: asking.id });
    };
    return el("li", {}, el("a", { href: `?suggestion=${asking.id}`, onclick: open }, asking.label));
  });
  return el("details", {}, el("summary", {}, `${strings.askings} (${askings.length})`), el("ul", {}, ...rows));
}

/** What the study asks of its raters, if it says anything. */
function instructionsPanel(board) {
  const { instructions, strings } = board.data;
  if (!instructions) return null;
  return el("details", { class: "instructions", open: true }, el("summary", {}, strings.instructions),
    el("div", { class: "text" }, instructions));
}
