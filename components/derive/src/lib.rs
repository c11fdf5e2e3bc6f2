//! `#[derive(Record)]`: encode, decode and shape of a value, field by field in the order of their declaration.
//!
//! The generated code names the trait as `ringworld_components::record::Record`. `ringworld::prelude` re-exports
//! `ringworld_components`, so a crate that depends on ringworld alone finds the path.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Fields, parse_macro_input};

/// Derives `Record` for a struct or an enum whose fields all are `Record`.
///
/// Enums encode the position of the variant, so new variants are appended, never inserted.
#[proc_macro_derive(Record)]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(input: &DeriveInput) -> syn::Result<Tokens> {
    let name = &input.ident;
    let text = name.to_string();
    let path = quote!(ringworld_components::record);
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(ringworld_components::record::Record));
    }
    let (impls, types, wheres) = generics.split_for_impl();
    let (encode, decode, shape) = match &input.data {
        Data::Struct(data) => {
            let (names, pattern, build, shape) = fields(&data.fields, &path);
            (
                quote!(let Self #pattern = self; #(#path::Record::encode(#names, to);)*),
                quote!(Ok(Self #build)),
                quote!(to.open(#text); #shape to.close();),
            )
        }
        Data::Enum(data) => {
            let mut encode = Vec::new();
            let mut decode = Vec::new();
            let mut shapes = Vec::new();
            for (index, variant) in data.variants.iter().enumerate() {
                let index = index as u64;
                let ident = &variant.ident;
                let label = ident.to_string();
                let (names, pattern, build, shape) = fields(&variant.fields, &path);
                encode.push(
                    quote!(Self::#ident #pattern => { to.variant(#index); #(#path::Record::encode(#names, to);)* }),
                );
                decode.push(quote!(#index => Ok(Self::#ident #build),));
                shapes.push(quote!(to.open(#label); #shape to.close();));
            }
            (
                quote!(match self { #(#encode)* }),
                quote!(match from.variant()? { #(#decode)* other => Err(#path::DecodeError::Variant { of: #text, found: other }) }),
                quote!(to.open(#text); #(#shapes)* to.close();),
            )
        }
        Data::Union(_) => return Err(syn::Error::new_spanned(name, "Record can't be derived for a union")),
    };
    Ok(quote! {
        impl #impls #path::Record for #name #types #wheres {
            fn encode(&self, to: &mut #path::Encoder<'_>) { let _ = &to; #encode }
            fn decode(from: &mut #path::Decoder<'_>) -> Result<Self, #path::DecodeError> { let _ = &from; #decode }
            fn shape(to: &mut #path::Shape) { #shape }
        }
    })
}

/// Bound names, destructuring pattern, constructor and shape of a list of fields.
fn fields(fields: &Fields, path: &Tokens) -> (Vec<Tokens>, Tokens, Tokens, Tokens) {
    let mut names = Vec::new();
    let mut members = Vec::new();
    let mut shapes = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let ty = &field.ty;
        let member = match &field.ident {
            Some(ident) => quote!(#ident),
            None => {
                let index = syn::Index::from(index);
                quote!(#index)
            }
        };
        let bound = quote::format_ident!("field_{index}");
        let label = member.to_string();
        names.push(quote!(#bound));
        shapes.push(quote!(to.field(#label); <#ty as #path::Record>::shape(to);));
        members.push((member, ty.clone()));
    }
    let pattern_members = members.iter().zip(&names).map(|((member, _), name)| quote!(#member: #name));
    let build_members = members.iter().map(|(member, ty)| quote!(#member: <#ty as #path::Record>::decode(from)?));
    (names.clone(), quote!({ #(#pattern_members),* }), quote!({ #(#build_members),* }), quote!(#(#shapes)*))
}
