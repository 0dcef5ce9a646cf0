import { DeskHost } from "./hosts/desk";
import { startWidget } from "./widget";

declare const ZOHODESK: ConstructorParameters<typeof DeskHost>[0];

void startWidget(new DeskHost(ZOHODESK), document.getElementById("widget") ?? document.body);
