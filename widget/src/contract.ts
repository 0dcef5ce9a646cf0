// The parts of the HTTP contract (replybench/contract.py) that this client reads and writes.
// tests/widget/test_contract.py compares the fields with the models there.

export type Source = "zoho_crm" | "zoho_desk";
export type Language = "en" | "uk";
export type AnswerStatus = "waiting" | "writing" | "done" | "failed" | "cancelled";
export type UsageAction = "copied" | "inserted" | "sent" | "edited";
export type Scores = Record<string, number>;

export interface ErrorPublic {
  code: string;
  message: string;
  request_id: string | null;
}

export interface MetricPublic {
  key: string;
  weight: number;
  name: string;
  description: string;
  scale: string[];
}

export interface RubricPublic {
  version: number;
  lowest: number;
  highest: number;
  positive_from: number;
  language: Language;
  metrics: MetricPublic[];
}

export interface CandidatePublic {
  name: string;
  note: string;
}

export interface TurnPublic {
  role: "customer" | "agent";
  text: string;
}

export interface TicketPublic {
  subject: string;
  text: string;
}

export interface SourcePublic {
  title: string;
  url: string | null;
}

export interface RatingWrite {
  scores: Scores;
  comment: string;
  corrected_text: string | null;
  seconds: number | null;
}

export interface RatingPublic {
  scores: Scores;
  comment: string;
  corrected_text: string | null;
}

export interface AnswerPublic {
  id: string;
  slot: string;
  status: AnswerStatus;
  text: string;
  error: ErrorPublic | null;
  cut: string[];
  sources: SourcePublic[];
  candidate: CandidatePublic | null;
  rating: RatingPublic | null;
}

export interface SuggestionCreate {
  subject: string;
  text: string;
  earlier: TurnPublic[];
  source: Source;
  external_id: string;
}

export interface SuggestionPublic {
  id: string;
  ticket: TicketPublic;
  answers: AnswerPublic[];
  is_complete: boolean;
  is_revealed: boolean;
}

export interface UsageWrite {
  answer_id: string;
  source: Source;
  action: UsageAction;
  edit_share: number | null;
}
