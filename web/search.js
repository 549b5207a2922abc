"use strict";

/**
 * A search finds messages of the room by their words, newest first, each a link to its place in the log. The server searches, a page of
 * results at a time; here what it found is shown, and in it the words.
 */
class Search {
  static STEP = 20; // messages a page of results
  static EXCERPT = 240; // characters of a message, around the first word that was found
  static MOST_MARKS = 50; // a message

  static #opened = null;

  /** @param goTo Brings the message of a seq into view. */
  static open(connection, goTo) {
    Search.#opened ??= new Search(connection, goTo);
    Search.#opened.#show();
  }

  #connection;
  #goTo;
  #field = make("input", { id: "sought", type: "search", required: true, maxLength: 200, autocomplete: "off", spellcheck: false });
  #told = make("p", { ariaLive: "polite" });
  #results = make("ol");
  #more = make("button", { type: "button", className: "link", textContent: words.older, hidden: true });
  #panel = make("div", { id: "search", popover: "auto", role: "dialog", ariaLabel: words.find });
  #asked = ""; // what the results are of
  #oldest = null; // seq of the last result; null: none yet
  #count = 0;
  #turn = 0; // of searches: an answer that comes after the next one was asked for is not shown

  constructor(connection, goTo) {
    this.#connection = connection;
    this.#goTo = goTo;
    const label = make("label", { htmlFor: "sought", textContent: words.find });
    const form = make("form", {}, label, make("span", { className: "pair" }, this.#field, make("button", { textContent: words.search })));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin(this.#field.value);
    });
    this.#more.addEventListener("click", () => this.#read());
    this.#results.addEventListener("click", (event) => this.#follow(event));
    this.#panel.append(form, this.#told, this.#results, this.#more);
    document.body.append(this.#panel);
  }

  #show() {
    this.#panel.showPopover();
    this.#field.focus();
    this.#field.select();
  }

  #begin(asked) {
    [this.#asked, this.#oldest, this.#count] = [asked, null, 0];
    this.#results.replaceChildren();
    this.#read();
  }

  async #read() {
    const turn = ++this.#turn;
    this.#more.hidden = true;
    tell(this.#told, words.searching);
    const query = { search: this.#asked, last: Search.STEP, ...(this.#oldest !== null && { before: this.#oldest }) };
    const { status, text } = await readAnswer(this.#connection.addressOf("messages", query)).catch(() => ({ status: 0 }));
    if (turn !== this.#turn) return;
    if (status === 200) this.#add(JSON.parse(text).messages.reverse());
    else tell(this.#told, status === 501 ? words.cannotSearch : words.notFoundNow);
  }

  #add(messages) {
    const isMore = messages.length === Search.STEP; // there may be
    const known = this.#results.childElementCount;
    this.#count += messages.length;
    this.#oldest = messages.at(-1)?.seq ?? this.#oldest;
    const sought = soughtIn(this.#asked);
    this.#results.append(...messages.map((message) => make("li", {}, resultLink(message, sought))));
    this.#more.hidden = !isMore;
    tell(this.#told, this.#count === 0 ? words.foundNone : fill(isMore ? words.foundMore : words.found, this.#count));
    // Whoever asked for more by the keyboard goes on where it begins.
    if (known > 0) this.#results.children[known]?.firstElementChild.focus();
  }

  // A new tab is the browser's business.
  async #follow(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#panel.hidePopover();
    history.pushState(null, "", link.hash);
    await this.#goTo(Number(link.hash.slice(2)));
    byId(link.hash.slice(1))?.querySelector(".permalink").focus({ preventScroll: true });
  }
}

function resultLink({ seq, at, name = "", text }, sought) {
  const when = new Date(at);
  const time = make("time", { dateTime: at, title: FULL_TIME.format(when), textContent: SHORT_TIME.format(when) });
  const excerpt = make("span", { className: "excerpt", dir: "auto" }, ...markedExcerpt(text, sought));
  return make("a", { href: new URL(`#m${seq}`, location.href).href }, make("span", { className: "byline" }, authorOf(name), " ", time), excerpt);
}

const SHORT_TIME = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const WORD = /[\p{L}\p{N}\p{M}]+/gu; // as the server has them

/** What is looked for: whole words, without accents and case, and the beginning of the last one. */
function soughtIn(asked) {
  const all = Array.from(asked.matchAll(WORD), ([word]) => folded(word));
  return { whole: new Set(all), beginning: all.at(-1) };
}

/** A part of the text, with the first word that was found in it, and all of those marked. */
function markedExcerpt(text, { whole, beginning }) {
  const isSought = (word) => whole.has(word) || (beginning !== undefined && word.startsWith(beginning));
  const nodes = [];
  let [from, end] = [null, 0];
  for (const match of text.matchAll(WORD)) {
    if (from !== null && (match.index >= from + Search.EXCERPT || nodes.length >= 2 * Search.MOST_MARKS)) break;
    if (!isSought(folded(match[0]))) continue;
    from ??= startOfExcerpt(text, match.index);
    nodes.push(text.slice(Math.max(from, end), match.index), make("mark", { textContent: match[0] }));
    end = match.index + match[0].length;
  }
  from ??= 0;
  const to = Math.max(end, endOfExcerpt(text, from + Search.EXCERPT));
  return [from > 0 ? "… " : "", ...nodes, text.slice(Math.max(from, end), to), to < text.length ? " …" : ""];
}

// A little before the word, at the beginning of another.
function startOfExcerpt(text, at) {
  const from = at - Search.EXCERPT / 4;
  return from <= 0 ? 0 : Math.min(at, from + text.slice(from, at).search(/(?<=\s)\S|$/u));
}

// At the end of a word, where one is near, and not through a surrogate pair.
function endOfExcerpt(text, at) {
  if (at >= text.length) return text.length;
  const from = at - Search.EXCERPT / 4;
  const space = text.slice(from, at + 1).search(/\s\S*$/u);
  if (space >= 0) return from + space;
  return /[\uD800-\uDBFF]/.test(text[at - 1]) ? at - 1 : at;
}
