// The types of connection.js, for editors and for programs in TypeScript that load it, with stored.js, outbox.js and stopwatch.js before it.

/** What was written here and is not settled. */
interface OutboxItem {
  key: string;
  text: string;
  name: string;
  at: number;
  refusal?: { reason: string; detail: string };
}

interface ChatMessage {
  type: "message";
  seq: number;
  at: string;
  name?: string;
  text: string;
  key?: string;
}

interface ChatHello {
  type: "hello";
  room: string;
  epoch: string;
  first: number;
  next: number;
  resumed?: true;
  online: number;
  limits: { message: number; name: number };
  /** What was shown belongs to this log, and what follows goes on from there. */
  isHeld: boolean;
  /** What was shown belongs to another log. */
  wasAnother: boolean;
}

interface ChatState {
  state: "connecting" | "connected" | "waiting" | "offline" | "refused";
  /** Milliseconds until the next attempt. */
  pause?: number;
  refusal?: { status: number; detail: string } | null;
}

interface ChatEvents {
  hello: CustomEvent<ChatHello>;
  message: CustomEvent<ChatMessage>;
  gap: CustomEvent<{ type: "gap"; from: number; to: number }>;
  logged: CustomEvent<{ type: "logged"; key: string; seq: number; isShown: boolean }>;
  refused: CustomEvent<{ type: "refused"; key?: string; reason: string; detail: string }>;
  presence: CustomEvent<{ type: "presence"; online: number; names: string[] }>;
  typing: CustomEvent<{ type: "typing"; name?: string; names?: string[] }>;
  left: CustomEvent<OutboxItem[]>;
  gone: CustomEvent<{ key: string }>;
  state: CustomEvent<ChatState>;
}

/** A cursor in a room's log that outlives its sockets: every message once and in order, each of one's own said once. */
declare class ChatConnection extends EventTarget {
  /** @param home The URL that `ws` and `messages` are beside. @param query What goes with each request. */
  constructor(home: string | URL, query: { room: string; invite?: string }, name: string);
  readonly isReady: boolean;
  readonly epoch: string | null;
  /** The seq seen last. */
  readonly last: number;
  readonly limits: { message: number; name?: number };
  readonly name: string;
  /** Pending or refused, oldest first. */
  readonly unsettled: OutboxItem[];
  isMine(key: string | undefined): boolean;
  say(text: string): OutboxItem;
  discard(key: string): void;
  setName(name: string): void;
  tellTyping(): void;
  addressOf(path: string, query?: Record<string, string | number>): string;
  connect(): void;
  tryNow(): void;
  addEventListener<K extends keyof ChatEvents>(type: K, listener: (event: ChatEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
}
