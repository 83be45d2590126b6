// What TypeScript is to know of pages beyond their scripts.

/** The vendored library that draws in space. */
declare const twgl: any;

// What kind of element an id or a selector finds is known to the template alone.
interface NonElementParentNode {
  getElementById(id: string): any;
}
interface Document {
  getElementById(id: string): any;
}
interface ParentNode {
  querySelector(selectors: string): any;
  querySelectorAll(selectors: string): NodeListOf<any>;
}

// What hears of a key or a click is an element.
interface EventTarget {
  closest(selectors: string): any;
}

// The browser writes numbers and truths as text.
interface Element {
  setAttribute(name: string, value: string | number | boolean): void;
}
interface CSSStyleDeclaration {
  setProperty(name: string, value: string | number, priority?: string): void;
}
