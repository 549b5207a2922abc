"use strict";

/**
 * The text of a message as nodes: links, `code`, fenced blocks, *emphasis* and **strong**. It is other people's text: the work is
 * linear in its length, the number of elements bounded, and whatever is done to it, the nodes' text content is the text.
 * What only marks (backticks, asterisks) is there, but not shown.
 */
class MessageText {
  static MOST_ELEMENTS = 200; // a message; what comes after is plain
  static LONGEST_ADDRESS = 2000; // characters

  // No run in it can be tried from more than one start: each ends where the next could begin.
  static #INLINE =
    /`([^`\n]+)`|(?<![\p{L}\p{N}*])(\*\*?)(?=[^\s*])([^*\n]+)(?<=\S)\2(?![\p{L}\p{N}*])|https?:\/\/[^\s<>"“”„‘’«»‹›、。，．！？：；「」『』（）【】《》〈〉…]+/giu;

  static nodes(text) {
    const parser = new MessageText();
    try {
      return parser.#blocks(text);
    } catch (error) {
      console.error(error); // ours, and worth a report; the message is worth more
      return [text];
    }
  }

  #elements = 0;

  #blocks(text) {
    const nodes = [];
    let end = 0;
    const fence = /^```[^`\n]*\n/gm;
    for (let open; this.#mayAdd && (open = fence.exec(text)); ) {
      const from = fence.lastIndex;
      const close = text.indexOf("\n```", from - 1);
      const to = close < 0 ? text.length : Math.max(from, close);
      nodes.push(...this.#inline(text.slice(end, open.index)));
      // The line break after a closing fence is a part of it: a block needs none.
      end = close < 0 ? text.length : close + 4;
      if (text[end] === "\n") end++;
      const code = text.slice(from, to);
      const block = make("code", { className: "block", tabIndex: 0, textContent: code });
      const button = copyButton(() => code, { className: "copy", textContent: "", ariaLabel: words.copy });
      nodes.push(this.#element("span", { className: "fence" }, mark(open[0]), block, mark(text.slice(to, end)), button));
      fence.lastIndex = end;
    }
    return [...nodes, ...this.#inline(text.slice(end))];
  }

  #inline(text) {
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(MessageText.#INLINE)) {
      if (!this.#mayAdd) break;
      const [whole, code, marks, marked] = match;
      const length = code || marks ? whole.length : addressLength(whole);
      if (length === 0) continue;
      if (end < match.index) nodes.push(text.slice(end, match.index));
      if (code) nodes.push(this.#element("code", {}, mark("`"), code, mark("`")));
      else if (marks) nodes.push(this.#element(marks === "*" ? "em" : "strong", {}, mark(marks), ...this.#inline(marked), mark(marks)));
      else nodes.push(this.#element("a", linkTo(whole.slice(0, length)), whole.slice(0, length)));
      end = match.index + length;
    }
    if (end < text.length) nodes.push(text.slice(end));
    return nodes;
  }

  get #mayAdd() {
    return this.#elements < MessageText.MOST_ELEMENTS;
  }

  #element(tag, properties, ...children) {
    this.#elements++;
    const { shown, ...others } = properties;
    const element = make(tag, others, ...children);
    if (shown) element.dataset.shown = shown;
    return element;
  }
}

function mark(text) {
  return make("span", { className: "syntax", textContent: text });
}

// What a link needs. Letters of other scripts can look like a known host, and direction characters can turn an address around:
// then the address as the browser will use it is shown behind.
function linkTo(address) {
  const { href, host } = new URL(address);
  const isTurned = /\p{Bidi_Control}/u.test(address);
  const isForeign = /[^\x00-\x7F]/.test(address.slice(0, address.indexOf("/", 8) >>> 0)); // the host, or all of it
  return { href, rel: "noopener noreferrer", target: "_blank", shown: isTurned ? href : isForeign ? host : "" };
}

// How much of it is the address: what ends a sentence, and a bracket that was opened before it, are not. 0: it is none.
function addressLength(run) {
  let end = run.length;
  const surplus = { ")": 0, "]": 0, "}": 0 };
  const opened = { "(": ")", "[": "]", "{": "}" };
  for (const character of run) {
    if (character in surplus) surplus[character]++;
    else if (character in opened) surplus[opened[character]]--;
  }
  for (; end > 0; end--) {
    const last = run[end - 1];
    if (surplus[last] > 0) surplus[last]--;
    else if (!".,;:!?'*_~|".includes(last)) break;
  }
  return end <= MessageText.LONGEST_ADDRESS && URL.canParse(run.slice(0, end)) ? end : 0;
}
