"use strict";

/**
 * The composer is where a message is written: it grows with the text, keeps the draft, and knows the limit. Nothing typed is lost:
 * what was typed before this script ran stays, a draft survives a reload, and the next tab takes over what a closed one has left.
 * Events: "say" and "typing"; "recall" for the last message written here; "scroll" by so many views (detail).
 */
class Composer extends EventTarget {
  static TYPING_EVERY = 2000; // ms: how often it is told
  static LIMIT_SHOWN = 0.8; // of the longest message: from there on its length is of interest

  limit = 65_536; // bytes of UTF-8

  #input;
  #count;
  #problem;
  #here; // drafts of this tab
  #left; // and of those that were closed
  #sinceTold = null;

  constructor(form, input, place) {
    super();
    this.#input = input;
    [this.#count, this.#problem] = [byId("count"), byId("problem")];
    this.#here = new Stored([...place, "draft"], () => sessionStorage);
    this.#left = new Stored([...place, "draft"]);
    this.#restore();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
      input.focus();
    });
    input.addEventListener("keydown", (event) => this.#onKey(event));
    input.addEventListener("input", () => this.#onInput());
    for (const type of ["paste", "drop", "dragover"]) document.addEventListener(type, (event) => this.#onTransfer(event));
    new ResizeObserver(() => this.#fit()).observe(form);
    addEventListener("pagehide", () => this.text && this.#left.set("text", this.text));
    addEventListener("pageshow", () => this.#left.remove("text"));
  }

  get text() {
    return this.#input.value;
  }

  set text(text) {
    if (this.#input.value !== text) this.#input.value = text;
    this.#keep();
  }

  /** Puts a text before what is being written. */
  putBefore(text) {
    this.text = this.text ? `${text}\n${this.text}` : text;
    this.#input.focus();
  }

  tellProblem(text) {
    tell(this.#problem, text);
  }

  get #isTooLong() {
    return byteLength(this.text) > this.limit;
  }

  #restore() {
    const typed = this.text; // early, before there was a script
    const draft = this.#here.get("text") ?? this.#left.get("text") ?? "";
    this.#left.remove("text");
    this.text = draft && typed && draft !== typed ? `${draft}\n${typed}` : typed || draft;
  }

  #say() {
    if (this.text.trim() === "" || this.#isTooLong) return;
    const { text } = this;
    this.text = "";
    this.#sinceTold = null; // what comes next is another message
    this.dispatchEvent(new CustomEvent("say", { detail: text }));
  }

  #onInput() {
    this.#keep();
    if (this.text.trim() === "" || this.#sinceTold?.elapsed < Composer.TYPING_EVERY) return;
    this.#sinceTold = new Stopwatch();
    this.dispatchEvent(new Event("typing"));
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (isEnter(event) && !event.shiftKey) {
      event.preventDefault();
      this.#say();
    } else if (event.key === "ArrowUp" && this.text === "") {
      this.dispatchEvent(new Event("recall", { cancelable: true })) || event.preventDefault();
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("scroll", { detail: event.key === "PageUp" ? -0.9 : 0.9 }));
    }
  }

  // A picture is not a text: that is said, and a file that is dropped does not take the page's place.
  #onTransfer(event) {
    const { types } = event.clipboardData ?? event.dataTransfer;
    if (!types.includes("Files") || types.includes("text/plain")) return;
    event.preventDefault();
    if (event.type !== "dragover") this.tellProblem(words.noPictures);
  }

  #keep() {
    const { text } = this;
    if (text) this.#here.set("text", text);
    else this.#here.remove("text");
    const length = byteLength(text);
    const isOfInterest = length > Composer.LIMIT_SHOWN * this.limit;
    const count = isOfInterest ? `${length.toLocaleString(locale)} / ${this.limit.toLocaleString(locale)}` : "";
    tell(this.#count, count && fill(words.limit, count));
    this.tellProblem(this.#isTooLong ? words.tooLong : "");
    this.#input.ariaInvalid = String(this.#isTooLong);
    this.#fit();
  }

  // As high as the text; the style sheet says how high at most.
  #fit() {
    const { style, parentElement } = this.#input;
    parentElement.style.height = `${parentElement.offsetHeight}px`; // what is around it does not move while it is measured
    style.height = "auto";
    const borders = this.#input.offsetHeight - this.#input.clientHeight;
    style.height = `${this.#input.scrollHeight + borders}px`;
    parentElement.style.height = "";
  }
}

// 229: Safari ends the composition before it says Enter.
function isEnter(event) {
  return event.key === "Enter" && !event.isComposing && event.keyCode !== 229;
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
