// A page's connection to the server of the talk, which comes back by itself.

const FIRST_WAIT = 300; // milliseconds before it is tried again, and then twice as long each time
const LONGEST_WAIT = 3000;
const SILENCE = 9000; // after which the server, which says every few seconds that it is there, is not
const REPLACED = 4000; // the code with which the server leaves this page for another one

/**
 * Keep a connection, and return the function that sends a message if there is one.
 * @param {(message: any) => void} hear is called with each message
 * @param {(connected: boolean, replaced: boolean) => void} changed is called when it begins and ends
 * @returns {(message: object) => void}
 */
function keepConnected(hear, changed) {
  /** @type {?WebSocket} */
  let socket = null;
  let wait = FIRST_WAIT;
  let next = 0;
  let heard = 0;

  function connect() {
    clearTimeout(next);
    leaveOld();
    heard = Date.now();
    socket = new WebSocket(new URL("session", location.href.replace("http", "ws")));
    socket.onopen = () => {
      wait = FIRST_WAIT;
      changed(true, false);
    };
    socket.onmessage = (event) => {
      heard = Date.now();
      hear(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      socket = null;
      changed(false, event.code === REPLACED);
      if (event.code !== REPLACED) again();
    };
  }

  function leaveOld() {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
    changed(false, false);
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
  connect();
  // The secret is in a cookie now: it leaves the address, so that no history keeps it.
  history.replaceState(history.state, "", location.pathname + location.hash);

  return (message) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}
