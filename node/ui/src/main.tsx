import { render } from "preact";
import { start } from "./actions/session";
import "./style/base.css";
import "./style/controls.css";
import "./style/shell.css";
import "./style/person.css";
import "./style/contacts.css";
import "./style/conversation.css";
import "./style/messages.css";
import "./style/composer.css";
import "./style/dialogs.css";
import "./style/menu.css";
import "./style/devices.css";
import { App } from "./view/app";

const page = document.getElementById("page");
if (page !== null) {
  render(<App />, page);
  void start();
}
