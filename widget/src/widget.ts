// Ties a host, the backend and the view together.

import { Backend } from "./backend";
import { BACKEND_URL } from "./config";
import type { AnswerPublic, Language, RubricPublic, Scores, SuggestionPublic } from "./contract";
import { HostProblem, isTransient } from "./errors";
import type { Agent, Host, HostAction, TicketRecord } from "./host";
import { firstLanguage, translator, type Translate } from "./i18n";
import { SuggestionMemory } from "./memory";
import { Outbox, type OutboxEvent } from "./outbox";
import { unfilled, valuesFor } from "./placeholders";
import { Session, type State, type Update } from "./session";
import { openStore } from "./storage";
import { AnswerPanel, type PanelActions, type PanelInput } from "./view/answer-panel";
import { AppView, type Tab } from "./view/app";
import { copyText } from "./view/dom";

const LANGUAGE_KEY = "language";
const RETRY_MS = 3_000;

/** Start the widget in `root`. Resolves once the signed-in agent is known and the first record is being opened. */
export async function startWidget(host: Host, root: HTMLElement): Promise<void> {
  const widget = new Widget(host, root);
  await widget.start();
}

class Widget {
  private readonly store = openStore();
  private readonly view: AppView;
  private language: Language = firstLanguage(this.store.get(LANGUAGE_KEY), undefined);
  private t: Translate = translator(this.language);
  private agent: Agent = { name: "" };
  private backend!: Backend;
  private outbox!: Outbox;
  private session: Session | null = null;
  private rubric: RubricPublic | null = null;
  private pendingId: string | null = null;
  private state: State = { phase: "idle" };
  private readonly panels = new Map<string, AnswerPanel>(); // by answer id
  private outgoing = new Map<string, AnswerPanel>();
  private panelsOf = ""; // id of the suggestion that they show
  private readonly problems = new Map<string, string>(); // answer id → why a rating was refused
  private readonly readSince = new Map<string, number>(); // answer id → when it was complete and on the screen

  constructor(
    private readonly host: Host,
    root: HTMLElement,
  ) {
    const again = (fresh: boolean): void => this.session?.again({ fresh });
    this.view = new AppView(
      root,
      { toggleLanguage: () => this.toggleLanguage(), again: () => again(false), askAgain: () => again(true) },
      () => this.render(),
    );
    this.view.setLanguage(this.language, this.t);
  }

  async start(): Promise<void> {
    if (!BACKEND_URL) return this.view.showMessage(this.t("notConfigured"));
    this.view.showMessage(this.t("noRecord"));
    try {
      this.agent = await this.host.start((id) => this.onRecord(id));
    } catch (error) {
      return this.view.showMessage(error instanceof HostProblem ? error.message : this.t("failed"));
    }
    this.setLanguage(firstLanguage(this.store.get(LANGUAGE_KEY), this.agent.language));
    this.backend = new Backend(this.host, BACKEND_URL, this.agent.name);
    this.outbox = new Outbox(this.store, this.backend, this.agent.name, (event) => this.onOutbox(event));
    const memory = new SuggestionMemory(this.store, this.host.source, this.agent.name);
    this.session = new Session(this.host, this.backend, memory, (update) => this.onUpdate(update));
    if (this.pendingId) this.session.open(this.pendingId);
    window.addEventListener("online", () => void this.outbox.flush());
    window.addEventListener("storage", () => this.render());
    window.addEventListener("pagehide", () => {
      this.session?.close();
      this.outbox.stop();
    });
    void this.outbox.flush();
    void this.loadRubric();
  }

  /** The host may name a record before it has said who is signed in. */
  private onRecord(id: string): void {
    this.pendingId = id;
    this.session?.open(id);
  }

  private onUpdate({ state, awaySeconds, refused }: Update): void {
    this.state = state;
    this.view.setNotice(awaySeconds === null ? (refused ?? "") : this.t("away", { seconds: awaySeconds }));
    this.render();
  }

  private onOutbox(event: OutboxEvent): void {
    if (event.type !== "changed" && event.item.kind === "rating") {
      if (event.type === "refused") this.problems.set(event.item.answerId, event.message);
      else this.session?.refresh(); // the stored rating, and after the last one who wrote what
    }
    this.render();
  }

  private toggleLanguage(): void {
    this.setLanguage(this.language === "en" ? "uk" : "en");
    this.store.set(LANGUAGE_KEY, this.language);
    if (this.session) void this.loadRubric();
  }

  private setLanguage(language: Language): void {
    this.language = language;
    this.t = translator(language);
    this.view.setLanguage(language, this.t);
  }

  private async loadRubric(): Promise<void> {
    const { language } = this;
    try {
      const rubric = await this.backend.rubric(language);
      if (language !== this.language) return;
      this.rubric = rubric;
      // Panels are made in one language: make them anew, and carry over what was typed.
      this.outgoing = new Map(this.panels);
      this.panels.clear();
      this.render();
      this.outgoing.clear();
    } catch (error) {
      if (!isTransient(error)) this.view.setNotice((error as Error).message);
      setTimeout(() => void this.loadRubric(), RETRY_MS);
    }
  }

  private render(): void {
    this.renderFoot();
    const { state } = this;
    if (state.phase === "answers" && this.rubric) return this.renderAnswers(state.record, state.suggestion, this.rubric);
    this.panels.clear();
    this.panelsOf = "";
    if (state.phase === "idle") this.view.showMessage(this.t("noRecord"));
    else if (state.phase === "empty") this.view.showMessage(this.t("nothing"), { canRetry: true });
    else if (state.phase === "problem") this.view.showMessage(state.message ?? this.t("failed"), { canRetry: true });
    else this.view.showMessage(this.t("asking"), { isBusy: true });
  }

  private renderAnswers(record: TicketRecord, suggestion: SuggestionPublic, rubric: RubricPublic): void {
    if (this.panelsOf !== suggestion.id) this.panels.clear();
    this.panelsOf = suggestion.id;
    const { subject, text } = suggestion.ticket;
    this.view.showTicket(this.t("ticket"), subject, text, record.isPartial ? this.t("partial") : "");
    const tabs = suggestion.answers.map((answer) => this.tab(answer, record, rubric));
    this.view.showTabs(tabs, this.t);
    const shown = suggestion.answers.find((answer) => answer.slot === this.view.selected);
    if (shown?.status === "done" && !this.readSince.has(shown.id)) this.readSince.set(shown.id, performance.now());
  }

  private tab(answer: AnswerPublic, record: TicketRecord, rubric: RubricPublic): Tab {
    const input = this.inputFor(answer);
    let panel = this.panels.get(answer.id);
    if (panel) panel.update(input);
    else panel = this.newPanel(answer, record, rubric, input);
    this.panels.set(answer.id, panel);
    const isBusy = answer.status === "waiting" || answer.status === "writing";
    const isFailed = answer.status === "failed" || answer.status === "cancelled";
    const mark = isBusy ? "busy" : isFailed ? "failed" : input.rating ? "rated" : "";
    return { slot: answer.slot, panel, mark, name: answer.candidate?.name ?? "" };
  }

  private newPanel(answer: AnswerPublic, record: TicketRecord, rubric: RubricPublic, input: PanelInput): AnswerPanel {
    const values = valuesFor(record.customer, this.agent);
    const actions = this.actionsFor(answer, record, values);
    const panel = new AnswerPanel(this.t, rubric, record, values, this.host.actions, actions, input);
    const outgoing = this.outgoing.get(answer.id);
    if (outgoing) panel.carryOver(outgoing);
    return panel;
  }

  private inputFor(answer: AnswerPublic): PanelInput {
    const waiting = this.outbox.waitingRating(answer.id);
    const problem = this.problems.get(answer.id) ?? null;
    const rating = waiting ?? (problem ? null : answer.rating);
    const ratingState = waiting ? (this.store.isLasting ? "queued" : "queuedHere") : rating ? "saved" : "none";
    const shown = rating ? { scores: rating.scores, comment: rating.comment } : null;
    return { answer, rating: shown, ratingState, problem };
  }

  private actionsFor(answer: AnswerPublic, record: TicketRecord, values: ReadonlyMap<string, string>): PanelActions {
    return {
      copy: async (text, share) => {
        if (!(await copyText(text))) return this.t("copyFailed");
        this.tellUse(answer, "copied", share);
        return this.t("copied");
      },
      run: (action, text, share) => this.runHostAction(action, answer, record, text, share),
      edited: (share) => this.tellUse(answer, "edited", share),
      retry: () => this.session?.retry(answer),
      rate: (scores, comment, edited) =>
        this.rate(answer, scores, comment, edited === null ? null : unfilled(edited, values)),
    };
  }

  /** Between the click and the deed the agent may have gone to another record: then nothing is done. */
  private async runHostAction(
    action: HostAction,
    answer: AnswerPublic,
    record: TicketRecord,
    text: string,
    share: number,
  ): Promise<string> {
    if ((await this.host.currentRecordId()) !== record.id) throw new HostProblem(this.t("moved"));
    await action.run(record, text);
    this.tellUse(answer, action.usage, share);
    const told = { insert: "inserted", solution: "solved", mail: "sent" } as const;
    return this.t(told[action.key], { address: record.customer.email ?? "" });
  }

  private tellUse(answer: AnswerPublic, action: "copied" | "inserted" | "sent" | "edited", share: number): void {
    void this.outbox.use({ answer_id: answer.id, source: this.host.source, action, edit_share: share });
  }

  private rate(answer: AnswerPublic, scores: Scores, comment: string, corrected: string | null): void {
    const since = this.readSince.get(answer.id);
    const seconds = since === undefined ? null : Math.min(86_400, Math.round((performance.now() - since) / 100) / 10);
    const before = this.outbox.waitingRating(answer.id) ?? answer.rating;
    this.problems.delete(answer.id);
    const corrected_text = corrected ?? before?.corrected_text ?? null;
    void this.outbox.rate(answer.id, { scores, comment, corrected_text, seconds });
  }

  private renderFoot(): void {
    const lines: string[] = [];
    if (this.state.phase === "answers") {
      const { suggestion } = this.state;
      const total = suggestion.answers.filter((answer) => answer.status === "done").length;
      const rated = suggestion.answers.filter((answer) => this.inputFor(answer).rating).length;
      lines.push(this.t("progress", { rated, total }));
      if (!suggestion.is_revealed) lines.push(this.t("blind"));
    }
    const waiting = this.outbox?.size ?? 0;
    if (waiting) lines.push(this.t("outbox", { count: waiting }));
    if (this.agent.name) lines.push(this.t("signedIn", { name: this.agent.name }));
    this.view.setFoot(lines);
  }
}
