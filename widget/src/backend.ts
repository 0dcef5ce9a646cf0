import type {
  Language,
  RatingWrite,
  RubricPublic,
  SuggestionCreate,
  SuggestionPublic,
  UsageWrite,
} from "./contract";
import { Refused, Unreachable, withTimeout } from "./errors";
import type { Host, HttpRequest } from "./host";
import { asRubric, asSuggestion, bodyOrThrow, isId } from "./wire";

const PATIENCE_MS = 30_000;

/** The HTTP API, spoken through the helpdesk's connection. `rater` is the signed-in person. */
export class Backend {
  constructor(
    private readonly host: Host,
    private readonly base: string,
    private readonly rater: string,
  ) {}

  async rubric(language: Language): Promise<RubricPublic> {
    return asRubric(await this.call("GET", `/api/rubric?language=${language}`));
  }

  async ask(ticket: SuggestionCreate): Promise<SuggestionPublic | string> {
    const body = bodyOrThrow(await this.call("POST", "/api/suggestions", ticket));
    if (!isId(body.id)) throw new Unreachable();
    // The 202 may be brief ({id, answers}); the poll that follows brings the rest.
    return body.ticket ? asSuggestion(body) : body.id;
  }

  async suggestion(id: string): Promise<SuggestionPublic> {
    return asSuggestion(await this.call("GET", `/api/suggestions/${checked(id)}`));
  }

  async retry(answerId: string): Promise<void> {
    bodyOrThrow(await this.call("POST", `/api/answers/${checked(answerId)}/retry`, {}));
  }

  async rate(answerId: string, rating: RatingWrite, rater = this.rater): Promise<void> {
    bodyOrThrow(await this.call("PUT", `/api/answers/${checked(answerId)}/rating`, rating, rater));
  }

  async use(id: string, usage: UsageWrite, rater = this.rater): Promise<void> {
    bodyOrThrow(await this.call("PUT", `/api/usage/${checked(id)}`, usage, rater));
  }

  private async call(method: HttpRequest["method"], path: string, body?: object, rater = this.rater): Promise<unknown> {
    const headers: Record<string, string> = { "X-Rater": encodeURIComponent(rater), Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    const request: HttpRequest = { method, url: `${this.base}${path}`, headers, ...(body ? { body } : {}) };
    try {
      return await withTimeout(this.host.send(request), PATIENCE_MS);
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Unreachable();
    }
  }
}

/** Return `id` if it is one: what goes into a path must not be able to change the path. */
function checked(id: string): string {
  if (!isId(id)) throw new Error("Not an id.");
  return id;
}
