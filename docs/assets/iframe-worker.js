// A page that is opened from the disk may start no Worker, and the search asks for one. There, a hidden frame
// takes its place. (The theme would fetch such a script from the network; the name tells it that one is here.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.documentElement.append(this.frame);
      const inside = this.frame.contentDocument;
      inside.open();
      inside.write("<!doctype html><title>search</title>");
      inside.close();
      this.window = this.frame.contentWindow;
      this.window.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.createElement("script");
      script.src = url;
      this.loaded = new Promise((done) => script.addEventListener("load", done));
      inside.head.append(script);
    }

    async postMessage(data) {
      await this.loaded;
      this.window.dispatchEvent(new this.window.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
