"use strict";

// What the page says, in French and in English. # stands for a number or a name; what is before | is for one of them.
// A plain space before ! ? : ; is made narrow and unbreakable in French, below.
const WORDS = {
  // arriving
  noOne: ["Personne n’a encore rien dit ici.", "Nobody has said anything here yet."],
  inviteWith: ["Pour faire venir quelqu’un, donnez cette adresse :", "To bring others in, give them this address:"],
  onlyHere: [
    "Cette adresse ne vaut que sur cette machine. Pour les autres : démarrez le serveur avec --urls http://*:# et donnez le nom ou l’adresse de cette machine.",
    "This address works on this machine only. For others: start the server with --urls http://*:# and give this machine’s name or address.",
  ],
  program: ["Ou depuis un programme :", "Or from a program:"],
  console: ["Console du navigateur", "Browser console"],
  copy: ["Copier", "Copy"],
  copied: ["Copié", "Copied"],
  qr: ["Code QR de l’adresse", "QR code of the address"],

  // who
  name: ["Votre nom", "Your name"],
  change: ["changer", "change"],
  nameless: ["Anonyme", "Anonymous"],
  badName: ["Un nom visible, 32 caractères au plus, sur une ligne.", "A visible name, 32 characters at most, on one line."],
  you: ["# (vous)", "# (you)"],
  online: ["# en ligne", "# online"],
  people: ["Personnes en ligne", "People online"],
  others: ["et # sans nom ou non affiché|et # sans nom ou non affichés", "and # nameless or not shown"],
  typing: ["# écrit…|# écrivent…", "# is typing…|# are typing…"],
  someone: ["Quelqu’un", "Someone"],

  // the room's menu
  menu: ["Salon # : chercher, inviter, dates, autres salons", "Room #: search, invite, dates, other rooms"],
  date: ["Aller à une date", "Jump to a date"],
  go: ["Aller", "Go"],
  rooms: ["Salons", "Rooms"],
  other: ["Autre salon", "Another room"],
  lab: ["Laboratoire", "Laboratory"],
  notify: ["Me prévenir de ce qui est dit quand je suis ailleurs", "Notify me of what is said while I am elsewhere"],
  mayNotNotify: ["Ce navigateur ne le permet pas à cette page.", "This browser does not let this page do so."],
  take: ["Emporter tous les messages :", "Take all messages along:"],
  asText: ["texte", "text"],
  keys: ["Clavier", "Keyboard"],
  shortcuts: [
    "Entrée : envoyer. Maj + Entrée : aller à la ligne. ↑ : reprendre son dernier message. Page ↑ ↓ : faire défiler. Alt + ↑ ↓ : d’un message à l’autre. Ctrl + K : chercher. Échap : fermer.",
    "Enter: send. Shift + Enter: new line. ↑: take up your last message. Page ↑ ↓: scroll. Alt + ↑ ↓: from message to message. Ctrl + K: search. Escape: close.",
  ],

  // searching
  find: ["Chercher dans ce salon", "Search this room"],
  search: ["Chercher", "Search"],
  searching: ["Recherche…", "Searching…"],
  found: ["# message|# messages", "# message|# messages"],
  foundMore: ["Les # derniers messages qui ont ces mots", "The last # messages with these words"],
  foundNone: ["Aucun message n’a tous ces mots.", "No message has all these words."],
  older: ["Plus anciens", "Older"],
  cannotSearch: [
    "Ce serveur ne sait pas chercher : seul celui qui garde ses messages dans un fichier le sait.",
    "This server cannot search: only one that keeps its messages in a file can.",
  ],
  notFoundNow: ["La recherche n’est pas possible pour le moment.", "Searching is not possible just now."],

  // the link
  connecting: ["Connexion…", "Connecting…"],
  connected: ["Connecté", "Connected"],
  waiting: ["Reconnexion", "Reconnecting"],
  offline: ["Hors ligne", "Offline"],
  refused: ["Refusé", "Refused"],
  retryIn: [" dans # s", " in # s"],
  retry: ["Réessayer", "Try again"],
  notThereNow: [
    "Le serveur ne répond pas. Ce que vous écrivez est gardé ici et part dès qu’il répond.",
    "The server does not answer. What you write is stored here and sent as soon as it does.",
  ],
  400: [
    "Le serveur refuse cette adresse : vérifiez le nom du salon et le vôtre.",
    "The server refuses this address: check the room’s name and yours.",
  ],
  401: [
    "Cette discussion est sur invitation : ouvrez-la avec l’adresse complète qu’on vous a donnée (elle contient invite=…).",
    "This chat is by invitation: open it with the whole address you were given (it contains invite=…).",
  ],
  403: [
    "Le serveur n’accepte pas les pages venues d’ici : ouvrez plutôt #, ou demandez que Chat:AllowedOrigins autorise cette origine.",
    "The server does not accept pages from here: open # instead, or ask for this origin to be added to Chat:AllowedOrigins.",
  ],
  429: [
    "Trop de connexions depuis votre adresse : la page réessaie d’elle-même.",
    "Too many connections from your address: the page tries again by itself.",
  ],
  503: [
    "Le serveur est complet ou s’arrête : la page réessaie d’elle-même.",
    "The server is full or shutting down: the page tries again by itself.",
  ],
  badRoom: [
    "Ce nom de salon n’est pas valable : 1 à 64 lettres sans accent, chiffres, - ou _.",
    "This is not the name of a room: 1 to 64 letters without accents, digits, - or _.",
  ],

  // reading
  messages: ["Messages", "Messages"],
  newer: ["# nouveau message|# nouveaux messages", "# new message|# new messages"],
  toEnd: ["Aux derniers messages", "To the latest messages"],
  away: ["# nouveau depuis votre dernier passage|# nouveaux depuis votre dernier passage", "# new since you were away"],
  fresh: ["Nouveau depuis votre dernier passage", "New since you were away"],
  today: ["Aujourd’hui", "Today"],
  gap: ["# message n’est plus conservé|# messages ne sont plus conservés", "# message is no longer kept|# messages are no longer kept"],
  newLog: ["Le salon a recommencé à zéro", "The room has started afresh"],
  loading: ["Messages antérieurs…", "Earlier messages…"],
  failed: ["Messages antérieurs indisponibles", "Earlier messages are unavailable"],
  beginning: ["Début du salon", "Beginning of the room"],
  trimmed: ["Messages antérieurs non conservés", "Earlier messages are no longer kept"],
  notThere: ["Ce message n’est pas (ou plus) dans ce salon.", "This message is not, or no longer, in this room."],
  whole: ["Tout afficher (# caractères)", "Show all (# characters)"],
  permalink: ["Lien vers ce message, #", "Link to this message, #"],

  // writing
  message: ["Message", "Message"],
  send: ["Envoyer", "Send"],
  pending: ["En attente", "Pending"],
  committed: ["Envoyé", "Sent"],
  failedToSend: ["Refusé", "Refused"],
  edit: ["Corriger", "Edit"],
  discard: ["Jeter", "Discard"],
  limit: ["# octets", "# bytes"],
  tooLong: ["Trop long : raccourcissez.", "Too long: shorten it."],
  too_long: ["Message refusé : il est trop long.", "Message refused: it is too long."],
  empty: ["Message refusé : il ne montre rien.", "Message refused: it shows nothing."],
  key_taken: [
    "Message refusé : un autre porte déjà son numéro. Corrigez ou renvoyez.",
    "Message refused: another one has its key. Edit it or send it again.",
  ],
  noPictures: ["Les images ne s’envoient pas ici : collez plutôt un lien.", "Pictures cannot be sent here: paste a link instead."],
  full: [
    "Le stockage du navigateur est plein : ce qui est en attente sera perdu si vous fermez cette page.",
    "The browser’s storage is full: what is pending will be lost if you close this page.",
  ],
};

const LANGUAGES = ["fr", "en"];

/** The reader's first tag that the page knows a language for: it also says how dates are written. */
const locale = navigator.languages.find((tag) => LANGUAGES.includes(tag.slice(0, 2))) ?? "en";
const language = locale.slice(0, 2);

const words = Object.fromEntries(Object.entries(WORDS).map(([key, all]) => [key, inType(all[LANGUAGES.indexOf(language)])]));

function inType(text) {
  return language === "fr" ? text.replace(/ (?=[!?:;»])/g, "\u202f") : text;
}

function fill(text, value, count = value) {
  const [one, many = one] = text.split("|");
  return (Number(count) === 1 ? one : many).replace("#", () => (typeof value === "number" ? value.toLocaleString(locale) : value));
}
