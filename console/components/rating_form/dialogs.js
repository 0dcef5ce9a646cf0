/** Shows the keys. */
function keysDialog(strings) {
  const rows = strings.key_list.flatMap(([keys, what]) => [
    el("dt", {}, ...keys.flatMap((key, at) => (at ? [" ", el("kbd", {}, key)] : [el("kbd", {}, key)]))),
    el("dd", {}, what),
  ]);
  const dialog = el("dialog", { "aria-labelledby": "keys-title" });
  const close = el("button", { type: "button", onclick: () => dialog.close() }, strings.close);
  dialog.append(el("h2", { id: "keys-title" }, strings.keys), el("dl", {}, ...rows), close);
  return dialog;
}

/** Asks why the ticket is skipped; a choice skips it. */
function skipDialog(board) {
  const { strings } = board.data;
  const dialog = el("dialog", { "aria-labelledby": "skip-title" });
  const choices = Object.entries(strings.skip_reasons).map(([reason, words]) =>
    el("button", { type: "button", onclick: () => { dialog.close(); board.send("skip", { reason }); } }, words));
  const cancel = el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, strings.cancel);
  dialog.append(el("h2", { id: "skip-title" }, strings.skip_why), el("div", { class: "choices" }, ...choices), cancel);
  return dialog;
}
