/**
 * libxml2, kept quiet: beside throwing what is wrong with an expression or a document, it writes it to
 * standard error, through the console that it finds when it is loaded. Any subscriber could fill a log so.
 */
const loud = console.error
console.error = () => {}
const libxml = await import('libxml2-wasm').finally(() => (console.error = loud))

export const { ParseOption, XmlDocument, XmlElement, XmlValidateError, XmlXPath, XsdValidator } =
  libxml
