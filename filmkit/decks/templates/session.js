// A page's connection to the server of the talk, which comes back by itself.

const FIRST_WAIT = 300; // milliseconds before it is tried again, and then twice as long each time
const LONGEST_WAIT = 3000;
const SILENCE = 9000; // after which the server, which says every few seconds that it is there, is not
const LATE = 500; // milliseconds after which somebody who asked for something is told to wait
// The codes with which the server leaves this page for another one, or has no place for it.
const REPLACED = 4000;
const FULL = 4001;

/**
 * How a connection is: it "waits" while an answer is late, is "replaced" by that of another page, or
 * finds the server "full".
 * @typedef {"works" | "waits" | "lost" | "replaced" | "full"} Connection
 *
 * Keep a connection, and return the function that sends a message if there is one. That function
 * is also told whether the message is answered.
 * @param {(message: any) => void} hear is called with each message
 * @param {(connection: Connection, places?: number) => void} changed is called when it changes; the
 *   places are those of a full server
 * @returns {(message: object, answered?: boolean) => void}
 */
function keepConnected(hear, changed) {
  /** @type {?WebSocket} */
  let socket = null;
  let wait = FIRST_WAIT;
  let next = 0;
  let heard = 0;
  let late = 0;
  let replaced = false;

  function connect() {
    clearTimeout(next);
    leaveOld();
    replaced = false;
    heard = Date.now();
    socket = new WebSocket(new URL("session", location.href.replace("http", "ws")));
    let greeted = false;
    socket.onmessage = (event) => {
      heard = Date.now();
      wait = FIRST_WAIT;
      if (late || !greeted) changed("works");
      greeted = true;
      forgetLate();
      hear(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      socket = null;
      forgetLate();
      replaced = event.code === REPLACED;
      const why = replaced ? "replaced" : event.code === FULL ? "full" : "lost";
      changed(why, Number(event.reason));
      if (!replaced) again();
    };
  }

  function leaveOld() {
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
    forgetLate();
    changed("lost");
  }

  function forgetLate() {
    clearTimeout(late);
    late = 0;
  }

  function again() {
    next = setTimeout(connect, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }

  // A connection may be dead without a word, and a telephone that wakes cannot know.
  setInterval(() => {
    if (socket && Date.now() - heard > SILENCE) connect();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - heard > SILENCE / 2) connect();
  });
  // Of two pages, the one that is used has the connection.
  const use = () => replaced && connect();
  ["focus", "keydown", "pointerdown"].forEach((name) => addEventListener(name, use, true));
  connect();
  // The secret is in a cookie now: it leaves the address, so that no history keeps it.
  history.replaceState(history.state, "", new URL(".", location.href).pathname + location.hash);

  return (message, answered = false) => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify(message));
    if (answered) late ||= setTimeout(() => changed("waits"), LATE);
  };
}
