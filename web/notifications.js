"use strict";

/**
 * Notifications tell what is said while nobody looks at the page: once the reader has asked for them in the room's menu, and as long as
 * the browser allows it. They are the service worker's, the only ones that phones have, and so exist in secure contexts only.
 */
class Notifications {
  static LONGEST = 200; // characters

  #settings;
  #room;
  #box;

  constructor(label, settings, room) {
    this.#settings = settings;
    this.#room = room;
    this.#box = label.querySelector("input");
    label.hidden = !isInstallable || !globalThis.Notification;
    this.#box.checked = this.#isOn;
    this.#box.addEventListener("change", async () => {
      const isWanted = this.#box.checked;
      settings.set("notify", isWanted);
      if (isWanted) await Notification.requestPermission();
      tell(label.querySelector(".problem"), isWanted && !this.#isOn ? words.mayNotNotify : "");
      this.#box.checked = this.#isOn;
    });
  }

  /** One a room: the newest takes the place of the one before. Those that name the reader make a sound again. */
  async show({ name, text }, isMention) {
    if (!this.#isOn) return;
    const worker = await navigator.serviceWorker.ready;
    await worker.showNotification(`${name || words.nameless} · ${this.#room}`, {
      body: text.slice(0, Notifications.LONGEST),
      tag: this.#room,
      renotify: isMention,
      icon: "icon-192.png",
      data: location.href.split("#")[0],
    });
  }

  get #isOn() {
    return this.#settings.get("notify") === true && isInstallable && globalThis.Notification?.permission === "granted";
  }
}
