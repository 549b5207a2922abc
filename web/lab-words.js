"use strict";

// What the laboratory says, as words.js has it for the page.
const LAB_WORDS = {
  close: ["Fermer", "Close"],

  // what is
  socket: ["Socket", "Socket"],
  epoch: ["Epoch", "Epoch"],
  position: ["Position", "Position"],
  outbox: ["À envoyer", "Outbox"],
  roundTrip: ["Aller-retour", "Round trip"],
  order: ["Ordre (#)", "Order (#)"],
  sameOrder: [
    "Même nombre sur deux pages : les mêmes derniers messages, dans le même ordre.",
    "The same number on two pages: the same last messages, in the same order.",
  ],
  isCut: ["Lien coupé", "Link cut"],
  isHeld: ["Ne lit plus", "Not reading"],
  none: ["–", "–"],
  ms: ["# ms", "# ms"],

  // what one can do
  switches: ["Interrupteurs", "Switches"],
  cut: ["Couper le lien", "Cut the link"],
  mend: ["Réparer le lien", "Mend the link"],
  delay: ["Retarder de 1 s", "Delay by 1 s"],
  undelay: ["Ne plus retarder", "Stop delaying"],
  repeat: ["Répéter le dernier", "Repeat the last"],
  swallow: ["Avaler le prochain accusé", "Swallow the next acknowledgement"],
  stop: ["Cesser de lire", "Stop reading"],
  read: ["Lire de nouveau", "Read again"],
  cannotStop: [
    "Ce navigateur lit un WebSocket quoi que fasse la page : pour cesser de lire, il faut WebSocketStream (Chrome, Edge).",
    "This browser reads a WebSocket whatever the page does: to stop reading takes WebSocketStream (Chrome, Edge).",
  ],
  say20: ["Dire 20", "Say 20"],
  flood: ["Inonder", "Flood"],
  flooding: ["Un autre client envoie # messages de 32 Ko.", "Another client sends # messages of 32 KB."],

  // what passes
  frames: ["Trames", "Frames"],
  noFrames: ["Rien n’est encore passé.", "Nothing has passed yet."],
  in: ["reçue", "received"],
  out: ["envoyée", "sent"],
  bytes: ["# o", "# B"],
  swallowed: ["avalée", "swallowed"],
  lost: ["perdue", "lost"],
  more: ["… et # octets de plus", "… and # bytes more"],

  // what the server does
  server: ["Dans le serveur, fil par fil", "In the server, thread by thread"],
  noSteps: ["Encore rien : dites quelque chose.", "Nothing yet: say something."],
  notTold: [
    "Ce serveur ne dit pas ce que font ses fils : il ne le fait qu’en Development.",
    "This server does not tell what its threads do: it does so in Development only.",
  ],
  received_: ["reçoit # octets", "receives # bytes"],
  committed_: ["enregistré jusqu’au n° #", "committed up to no. #"],
  appended_: ["ajoute au journal jusqu’au n° #", "appends to the log up to no. #"],
  sent_: ["envoie à # client|envoie à # clients", "sends to # client|sends to # clients"],
  skipped_: ["saute # client lent|saute # clients lents", "skips # slow client|skips # slow clients"],
  upTo: ["n° #", "no. #"],
  loop: ["boucle", "loop"],
  worker: ["fil du pool", "pool worker"],
  together: ["# message|# messages", "# messages"],
  missed: ["# étape non montrée|# étapes non montrées", "# step not shown|# steps not shown"],
};

const labWords = Object.fromEntries(Object.entries(LAB_WORDS).map(([key, all]) => [key, inType(all[LANGUAGES.indexOf(language)])]));
