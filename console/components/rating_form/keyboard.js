/** Keys of the rating form. Letters are told by their place on the keyboard, so they work in any layout. */
function handleKey(board, event) {
  const target = event.composedPath()[0];
  const isInside = event.composedPath().includes(board.root);
  if (!board.root.isConnected || (!isInside && !isForNobody(event, target)) || board.keys.open || board.skipping.open) return;
  const action = actionOf(board, event, target);
  if (action) {
    event.preventDefault();
    action();
  }
  if (isInside || action) event.stopPropagation(); // Streamlit has shortcuts of its own
}

/**
 * Whether a key pressed outside the form is meant for no control there. A click on the page's margin, for one, gives
 * the focus to Streamlit's main section, and a button of the page before may still have it: digits mean nothing to them.
 */
function isForNobody(event, target) {
  if (isTyping(target) || target.closest?.("[role=dialog], [role=menu], [role=listbox]")) return false;
  return /^[0-9]$/.test(event.key) || !target.closest?.("button, a[href], summary");
}

function actionOf(board, event, target) {
  const hasCommand = event.ctrlKey || event.metaKey;
  if (hasCommand && event.key === "Enter") return () => board.submit();
  if (target.tagName === "TEXTAREA") {
    return event.key === "Escape" ? () => board.focusCell(board.current) : null;
  }
  if (event.altKey) return null;
  if (hasCommand) return event.code === "KeyZ" && !event.shiftKey && !board.isLocked() ? () => board.undo() : null;
  if (event.key === "?") return () => board.keys.showModal();
  if (board.isLocked()) return lockedAction(board, event);
  return scoringAction(board, event, target);
}

function lockedAction(board, event) {
  if (event.code === "KeyN") return () => board.send("next", true);
  if (event.code === "KeyE") return () => board.change();
  return null;
}

function scoringAction(board, event, target) {
  const { lowest, highest } = board.data;
  const cell = board.current;
  const digit = Number(event.key);
  if (cell && event.key.trim() && digit >= lowest && digit <= highest) return () => scoreAndGoOn(board, cell, digit);
  if (event.key === "ArrowUp" || event.key === "ArrowDown") return cell && (() => step(board, event.key === "ArrowUp" ? -1 : 1));
  if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    return cell && (() => step(board, (event.key === "ArrowLeft" ? -1 : 1) * board.data.metrics.length));
  }
  if (event.key === "Backspace" && cell) return () => board.score(...cell, null);
  if (event.code === "KeyM" && cell) return () => openComment(board.columns.get(cell[0]));
  if (event.code === "KeyF" && cell) return () => openFlags(board.columns.get(cell[0]));
  if (event.code === "KeyS" && !board.bar.skipButton.hidden) return () => board.skipping.showModal();
  const isOnButton = ["BUTTON", "SUMMARY"].includes(target.tagName) || target.type === "checkbox";
  if (event.key === "Enter" && !isOnButton) return () => board.submit();
  return null;
}

/** Score the current metric and go to the next one without a score; after the last, to the submit button. */
function scoreAndGoOn(board, cell, digit) {
  board.score(...cell, digit);
  board.guide(board.data.metrics.find((metric) => metric.key === cell[1]), digit);
  board.focusCell(board.nextEmpty(cell));
}

function step(board, by) {
  const cells = board.cells();
  const at = board.indexOf(board.current) + by;
  board.focusCell(cells[(at + cells.length) % cells.length]);
}

function openFlags(column) {
  column.more.open = true;
  column.flags.values().next().value.focus();
}

function openComment(column) {
  column.more.open = true;
  column.comment.focus();
}
